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


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clip.mp4, in which scikit-image's astronaut moves to the right, and its tracks."""
    import numpy as np
    from clips import make_clip
    from running import run
    from skimage.data import astronaut

    folder = tmp_path_factory.mktemp("people")
    portrait = astronaut()[::3, ::3]
    pictures = [np.full((180, 320, 3), 90, np.uint8) for _ in range(21)]
    for i, picture in enumerate(pictures):
        picture[6:177, 30 + 4 * i : 201 + 4 * i] = portrait
    make_clip(folder / "clip.mp4", 21, size=(320, 180), images=pictures)
    run(folder / "clip.mp4", "-q")
    return folder
