from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.s3_server", "tests.support.redis_server"]

# How long something takes says more about a busy machine than about the code: speed is measured in
# benchmarks/.
settings.register_profile(
    "eagle_logger", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("eagle_logger")
