"""The `eagle-logger` command. Each command has a module of its name, loaded when it is called."""

from __future__ import annotations

import errno
import importlib
import sys
from importlib.metadata import entry_points, version

import click

from eagle_logger.cli.click_groups import CommandGroup
from eagle_logger.cli.terminal_text import keep_logs_apart, protect_terminals
from eagle_logger.disk.private_files import write_for_own_user_only
from eagle_logger.errors import ConfigurationError, EagleError

_COMMANDS = {
    "check": "eagle_logger.cli.check:check",
    "decode": "eagle_logger.cli.decode:decode",
    "doctor": "eagle_logger.cli.doctor:doctor",
    "energy": "eagle_logger.cli.energy:energy",
    "fetch": "eagle_logger.cli.fetch:fetch",
    "gaps": "eagle_logger.cli.gaps:gaps",
    "healthcheck": "eagle_logger.cli.healthcheck:healthcheck",
    "index": "eagle_logger.cli.index:index",
    "keys": "eagle_logger.cli.keys:keys",
    "read": "eagle_logger.cli.read:read",
    "rotate": "eagle_logger.cli.rotate:rotate",
    "shards": "eagle_logger.cli.shards:shards",
    "simulate": "eagle_logger.cli.simulate:simulate",
    "simulate-s3": "eagle_logger.cli.simulate_s3:simulate_s3",
    "status": "eagle_logger.cli.status:status",
    "tables": "eagle_logger.cli.tables:tables",
    "users": "eagle_logger.cli.users:users",
    "verify": "eagle_logger.cli.verify:verify",
}
_DISK_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}
ENTRY_POINTS = "eagle_logger.commands"
"""The entry point group by which the commands of `workers` join: those that need Celery or
Tornado."""


class _LazyGroup(CommandGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted({*_COMMANDS, *(point.name for point in entry_points(group=ENTRY_POINTS))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in _COMMANDS:
            module, _, name = _COMMANDS[cmd_name].partition(":")
            command = getattr(importlib.import_module(module), name)
        else:
            points = entry_points(group=ENTRY_POINTS, name=cmd_name)
            command = next(iter(points)).load() if points else None
        return command if isinstance(command, click.Command) else None


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("eagle-logger"), prog_name="eagle-logger")
def main() -> None:
    """Collects smart-meter readings from a fleet of Rainforest EAGLE gateways into an hourly
    archive."""


def run() -> None:
    """Run the command line. A failure that the program foresees is one clear message; a bug shows a
    traceback.

    Exit 2 for a setting that makes no sense (and for wrong usage), 1 for any other failure.
    """
    write_for_own_user_only()
    protect_terminals()
    keep_logs_apart()
    try:
        main(standalone_mode=True)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)
    except EagleError as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
    except OSError as exc:
        if exc.errno not in _DISK_ERRORS:
            raise
        advice = "`eagle-logger doctor` looks at disk and rights"
        print(f"{exc.filename or 'the disk'}: {exc.strerror}; {advice}", file=sys.stderr)
        sys.exit(1)
