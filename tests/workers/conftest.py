"""Short clips of every kind that matters to blocks, with poses from a file, and their plain results."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip

from posetrack.pipeline import PipelineSettings
from posetrack.results.posefile import read_poses
from posetrack.runs import Job, plan, run_job
from posetrack.workers.driver import Order
from posetrack.workers.recipe import Recipe

FRAMES = 40
VARIABLE = [0.04 * n + 0.013 * (n % 3) for n in range(FRAMES)]


@dataclass(frozen=True)
class Shelf:
    """A folder of clips, the order in which they are done, and what a plain run makes of each."""

    folder: Path
    poses: Path
    order: Order = field(repr=False)
    plain: dict[str, bytes] = field(repr=False)

    def jobs(self, output: Path, *names: str) -> list[Job]:
        return plan([str(self.folder / name) for name in names or sorted(self.plain)], output)


def poses(path: Path) -> Path:
    """Poses of two people, one of whom the file often misses."""
    lines = []
    for n in range(FRAMES):
        people = []
        for k, left in enumerate((4.0 + n / 2, 40.0 - n / 3)):
            if k == 0 or n % 4 == 0:
                joints = [[round(left + j % 4 * 4, 2), round(6.0 + j * 2, 2), 0.9] for j in range(17)]
                people.append(f'{{"image_id": {n}, "category_id": 1, "score": 0.9, "keypoints": '
                              f"{[v for joint in joints for v in joint]}}}")
        lines += people
    path.write_text("[" + ",\n".join(lines) + "]")
    return path


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    noise = np.random.default_rng(1).integers(0, 255, (48, 64 + FRAMES, 3), np.uint8)
    images = [np.ascontiguousarray(noise[:, n : n + 64]) for n in range(FRAMES)]
    keys = {"g": "10", "sc_threshold": "0"}
    make_clip(folder / "keys.mp4", FRAMES, images=images, options={**keys, "bf": "0"})
    make_clip(folder / "bframes.mp4", FRAMES, images=images, options={**keys, "bf": "3"})
    make_clip(folder / "variable.mkv", VARIABLE, images=images, options=keys)
    make_clip(folder / "one_key.mp4", FRAMES, images=images, options={"g": "250"})
    make_clip(folder / "short.mp4", 7, images=images)
    given = poses(tmp_path_factory.mktemp("poses") / "poses.json")
    order = Order(Recipe(poses=read_poses(given)), PipelineSettings(block=4))
    sight, said = order.recipe.make()
    plain = {}
    for job in plan([str(path) for path in sorted(folder.glob("*.m*"))], tmp_path_factory.mktemp("plain")):
        run_job(job, sight, order.settings, said)
        plain[Path(job.source).name] = job.output.read_bytes()
    return Shelf(folder, given, order, plain)
