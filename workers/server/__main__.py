"""`python -m workers.server`: run the bridge."""

from __future__ import annotations

import sys

import uvloop

from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import EagleError
from eagle_logger.telemetry import configure_logging
from workers.app import app
from workers.server.lifecycle import serve
from workers.tasks import enqueue_adhoc


def main() -> int:
    write_for_own_user_only()
    settings = app.eagle_settings
    configure_logging(settings.log_format)
    try:
        uvloop.run(serve(settings, enqueue_adhoc))
    except (EagleError, OSError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201  (one clear line instead of a traceback)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
