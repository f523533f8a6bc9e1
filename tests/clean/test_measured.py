"""The issue's bounds on what smoothing is worth, by the script that prints them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from posetrack.clean.filters import Butterworth, Filter, OneEuro, SavitzkyGolay
from posetrack.clean.smooth import smooth
from posetrack.clean.stretches import jitter
from posetrack.evaluate.load import read_side
from posetrack.results.trajectories import Trajectories, read_trajectories

ALL = [OneEuro(), SavitzkyGolay(), Butterworth()]


@pytest.fixture(scope="module")
def measuring() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "measure_smoothing.py"
    spec = importlib.util.spec_from_file_location("measure_smoothing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tracked(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    """The real clip as the shipped networks track it."""
    from running import run

    target = tmp_path_factory.mktemp("bonn") / "bonn.tracks.json"
    run(shared / "data/posetrack/bonn_060470979/frames", "-o", target, "-q")
    return read_trajectories(target)


@pytest.mark.parametrize("filter", ALL, ids=str)
def test_a_real_clip_loses_jitter_and_no_accuracy(
    shared: Path, measuring: ModuleType, tracked: Trajectories, filter: Filter
) -> None:
    truth = read_side(shared / "data/posetrack/bonn_060470979/060470979_posetrack18.json")
    smoothed = smooth(tracked, filter)
    assert jitter(smoothed) < 0.4 * jitter(tracked)
    before, after = (measuring.scored(tracks, truth, "body") for tracks in (tracked, smoothed))
    for name in ("PCK@0.2", "PCKh@0.5"):
        assert after[name] > before[name] - 0.2


@pytest.mark.parametrize("filter", ALL, ids=str)
def test_true_poses_with_noise_lose_jitter_and_gain_accuracy(
    shared: Path, measuring: ModuleType, filter: Filter
) -> None:
    import numpy as np

    true = list(measuring.true_tracks(shared / "data/posetrack/bonn_poses.zip"))[:6]
    rng = np.random.default_rng(1)
    noisy = [measuring.noisy(tracks, rng) for tracks in true]
    smoothed = [smooth(tracks, filter) for tracks in noisy]
    assert sum(map(jitter, smoothed)) < 0.4 * sum(map(jitter, noisy))
    before, after = (measuring.nearness(true, tracks) for tracks in (noisy, smoothed))
    assert after["PCK@0.05"] > before["PCK@0.05"]
    assert after["error, %"] < before["error, %"]
