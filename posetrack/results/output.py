"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from posetrack.errors import OutputError

__all__ = ["new_file"]


@contextmanager
def new_file(path: str | Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """`path` open for writing under another name, and renamed at the end; an exception leaves nothing behind.

    The folder is made when it isn't there. Raises OutputError when the file exists (unless `overwrite`) or
    cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name with -o or allow --overwrite")
    temporary = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    finally:
        if temporary.is_file():
            temporary.unlink()
