from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import make_clip
from running import run


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clip.mp4, in which scikit-image's astronaut moves to the right, and its tracks."""
    from skimage.data import astronaut

    folder = tmp_path_factory.mktemp("people")
    portrait = astronaut()[::3, ::3]
    pictures = [np.full((180, 320, 3), 90, np.uint8) for _ in range(21)]
    for i, picture in enumerate(pictures):
        picture[6:177, 30 + 4 * i : 201 + 4 * i] = portrait
    make_clip(folder / "clip.mp4", 21, size=(320, 180), images=pictures)
    run(folder / "clip.mp4", "-q")
    return folder
