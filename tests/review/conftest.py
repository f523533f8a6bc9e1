"""Files to review."""

from __future__ import annotations

from pathlib import Path

import pytest
from reviewing import make_review


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with clip.mp4 and clip.tracks.json, in which two people swap numbers at frame 40."""
    return make_review(tmp_path)
