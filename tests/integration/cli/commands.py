"""Running `eagle-logger` in a test, within this process or as one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from click.testing import Result

Cli = Callable[..., Result]
"""The fixture `cli`: it runs a command within this process."""
PASSWORD = "one-of-the-passwords"
"""No output may show it."""
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from eagle_logger.cli.main import run; sys.argv[0] = 'eagle-logger'; run()",
]
"""`eagle-logger` as a process of its own."""


def user_line(cloud_id: object, **more: object) -> str:
    """A line for `users import`."""
    return json.dumps(
        {"cloud_id": cloud_id, "user_email": "a@example.org", "user_pw": PASSWORD, **more}
    )
