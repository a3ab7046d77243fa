"""The group that every group of commands is."""

from __future__ import annotations

import click

_LONGEST_SENTENCE = 200
"""Characters of a command's first sentence that a list of commands shows."""


class CommandGroup(click.Group):
    """Lists its commands with the whole first sentence about each. The sentence wraps, where click
    would cut it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(_LONGEST_SENTENCE))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
