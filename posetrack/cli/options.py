"""Options in groups: `grouped("Tracking", "--flow", ...)` puts an option under that heading of the help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["GroupedCommand", "Place", "grouped"]

F = TypeVar("F", bound=Callable[..., Any])


class Place(click.ParamType):  # type: ignore[type-arg]
    """A path on this machine or, where it is a URL, a posetrack.remote.Shelf."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the shelf."""
        if not isinstance(value, str):
            return value
        from posetrack.remote import Shelf, is_remote, local_name

        if "://" in value and not is_remote(value) and not value.startswith("file://"):
            self.fail(f"{value}: nothing can be written there; name a folder, or s3://, gs:// ...", param, ctx)
        return Shelf(value) if is_remote(value) else Path(local_name(value))


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
