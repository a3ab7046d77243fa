"""What all groups of commands have in common."""

from __future__ import annotations

import click

_LONGEST = 200


class CommandGroup(click.Group):
    """Lists its commands with the whole first sentence about each: it wraps, where click would cut
    it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [
            (name, one.get_short_help_str(_LONGEST))
            for name, one in found
            if one is not None and not one.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(shown)
