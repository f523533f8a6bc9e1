"""The command line and its documentation are one thing."""

import re
from pathlib import Path

import click
import pytest

from posetrack.cli import COMMANDS, posetrack

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(group=posetrack, path=()):
    """Every command with its words, groups' children included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_and_option_has_help(words):
    command = ALL[words]
    assert command.help, f"{words} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(words)} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_default_is_shown(words):
    context = click.Context(ALL[words])
    for parameter in ALL[words].params:
        if not isinstance(parameter, click.Option) or (parameter.is_flag and not parameter.secondary_opts):
            continue
        default = parameter.get_default(context)
        if isinstance(default, (str, int, float, Path)) and default != "" and not parameter.multiple:
            assert parameter.show_default, f"{' '.join(words)} {parameter.opts[0]} does not show its default"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_is_in_the_readme(words):
    assert f"posetrack {' '.join(words)}" in README


def test_every_line_of_the_readme_that_calls_posetrack_is_a_command_with_such_options():
    for line in re.findall(r"^    posetrack ([^\n#]*)", README, re.MULTILINE):
        words = line.split()
        command = next((ALL[tuple(words[:n])] for n in (2, 1) if tuple(words[:n]) in ALL), None)
        if words and words[0] in ("--help", "--version"):
            continue
        assert command is not None, f"README: posetrack {line}"
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for option in re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", " " + line):
            assert option in known, f"README: posetrack {line}: no option {option}"


def test_all_commands_have_a_line_in_the_help():
    assert all(COMMANDS.values())
