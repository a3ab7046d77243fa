from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.s3_server", "tests.support.redis_server"]

# No deadlines: on a busy machine a duration tells little about the code. Speed is for benchmarks/.
settings.register_profile(
    "eagle_logger", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# `make test` tries the same examples every time, so that only a change can make it fail. All other
# runs try new ones.
settings.register_profile(
    "repeatable", settings.get_profile("eagle_logger"), derandomize=True, database=None
)
settings.load_profile("eagle_logger")
