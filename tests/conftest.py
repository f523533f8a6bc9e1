"""What tests share: the folder of real data and recorded oracle numbers, where a machine has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("posetrack", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("posetrack")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder (`POSETRACK_SHARED`, or `../shared` beside the checkout); skips a test without it."""
    folder = Path(os.environ.get("POSETRACK_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"needs the shared data: no folder {folder} (set POSETRACK_SHARED)")
    return folder
