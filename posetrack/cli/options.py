"""Options in groups: `grouped("Tracking", "--flow", ...)` puts an option under that heading of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["GroupedCommand", "grouped"]

F = TypeVar("F", bound=Callable[..., Any])


class _GroupedOption(click.Option):
    def __init__(self, *arguments: Any, group: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


def grouped(group: str, *names: str, **settings: Any) -> Callable[[F], F]:
    """`click.option` under the heading `group`, with its default shown."""
    settings.setdefault("show_default", True)
    return click.option(*names, cls=_GroupedOption, group=group, **settings)


class GroupedCommand(click.Command):
    """A command whose help has one section a group of options, in the order in which the groups first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections; options without a group come last, as Other options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):  # arguments stand in the usage line
                sections.setdefault(getattr(parameter, "group", "Other options"), []).append(record)
        other = sections.pop("Other options", [])
        for heading, rows in [*sections.items(), ("Other options", other)]:
            with formatter.section(heading):
                formatter.write_dl(rows)
