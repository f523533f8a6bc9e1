"""posetrack's commands run in this process, with a look at how they end."""

from __future__ import annotations

from click.testing import CliRunner

from posetrack.cli import posetrack

__all__ = ["run"]


def run(*words: object, code: int = 0) -> tuple[str, str]:
    """What `posetrack run` prints, stdout and stderr, after a look at its exit code."""
    result = CliRunner().invoke(posetrack, ["run", *map(str, words)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout, result.stderr
