"""Write down what motmetrics and TrackEval say of crowded boxes and of the TUD sequences, for the tests.

    pip install 'numpy<2' motmetrics==1.4.0 trackeval scipy
    python scripts/record_mot.py ../shared/data/posetrack/mot > tests/reference/mot/recorded.json

Neither is a dependency of posetrack. `crowds` holds the boxes too; of TUD, which is not ours, the numbers alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import CLEAR, HOTA, Identity

Frames = list[dict[int, list[float]]]

COUNTED = (
    "num_frames", "mota", "motp", "idf1", "idp", "idr", "num_switches", "num_false_positives", "num_misses",
    "num_fragmentations", "mostly_tracked", "partially_tracked", "mostly_lost", "precision", "recall", "num_objects",
    "num_detections", "idtp", "idfp", "idfn",
)  # fmt: skip


def iou(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """IoU (N, M) of x, y, width, height."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    upper = np.maximum(a[:, None, :2], b[None, :, :2])
    lower = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    common = np.maximum(lower - upper, 0).prod(axis=-1)
    return common / (a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - common)


def similarities(truth: Frames, guess: Frames) -> list[NDArray[Any]]:
    return [
        iou(np.array([*t.values()]).reshape(-1, 4), np.array([*g.values()]).reshape(-1, 4))
        for t, g in zip(truth, guess, strict=True)
    ]


def by_motmetrics(truth: Frames, guess: Frames) -> dict[str, float]:
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for t, g, similarity in zip(truth, guess, similarities(truth, guess), strict=True):
        accumulator.update([*t], [*g], np.where(similarity >= 0.5, 1 - similarity, np.nan))
    table = motmetrics.metrics.create().compute(accumulator, metrics=list(COUNTED), return_dataframe=False)
    return {name: float(table[name]) for name in COUNTED}


def by_trackeval(truth: Frames, guess: Frames) -> dict[str, Any]:
    true_ids, guess_ids = (sorted({i for frame in side for i in frame}) for side in (truth, guess))
    data = {
        "num_timesteps": len(truth),
        "num_gt_ids": len(true_ids), "num_tracker_ids": len(guess_ids),
        "num_gt_dets": sum(map(len, truth)), "num_tracker_dets": sum(map(len, guess)),
        "gt_ids": [np.array([true_ids.index(i) for i in f], int) for f in truth],
        "tracker_ids": [np.array([guess_ids.index(i) for i in f], int) for f in guess],
        "similarity_scores": similarities(truth, guess),
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        hota = HOTA().eval_sequence(data)
        clear, identity = (metric({"PRINT_CONFIG": False}).eval_sequence(data) for metric in (CLEAR, Identity))
    curves = {name: np.asarray(hota[name]).tolist() for name in ("HOTA", "DetA", "AssA", "LocA", "AssRe", "AssPr")}
    counts = ("MOTA", "MOTP", "IDSW", "Frag", "CLR_TP", "CLR_FP", "CLR_FN", "MT", "PT", "ML")
    return (
        curves
        | {name: float(clear[name]) for name in counts}
        | {name: float(identity[name]) for name in ("IDF1", "IDTP", "IDFN", "IDFP")}
    )


def crowd(seed: int, frames: int = 40) -> tuple[Frames, Frames]:
    """People who cross, stand in each other, leave and come back; tracks that exchange, break and are invented."""
    random = np.random.default_rng(seed)
    people = int(random.integers(3, 9))
    size = random.uniform(40, 55, (people, 2)) * [1, 2]
    place = random.uniform(0, 40, (people, 2))
    speed = random.normal(0, 0.5, (people, 2))
    names = {i: i + 1 for i in range(people)}
    truth: Frames = []
    guess: Frames = []
    for _ in range(frames):
        place += speed + random.normal(0, 1, place.shape)
        here = [i for i in range(people) if random.random() > 0.08]
        truth.append({i: [*place[i].round(2).tolist(), *size[i].round(2).tolist()] for i in here})
        if random.random() < 0.25:
            a, b = random.integers(0, people, 2)
            names[int(a)], names[int(b)] = names[int(b)], names[int(a)]
        if random.random() < 0.15:
            names[int(random.integers(0, people))] = 1 + max(names.values())
        found = [i for i in here if random.random() > 0.12] if random.random() > 0.08 else []
        noise = random.normal(0, random.choice([1, 5]), (people, 4))
        boxes = {names[i]: (np.array(truth[-1][i]) + noise[i]).round(2).tolist() for i in found}
        if random.random() < 0.3:
            boxes[900 + int(random.integers(0, 3))] = [*random.uniform(0, 90, 2).round(2).tolist(), 40.0, 80.0]
        guess.append(boxes)
    return truth, guess


def read(path: Path, frames: int) -> Frames:
    sides: Frames = [{} for _ in range(frames)]
    for line in path.read_text().splitlines():
        row = [float(cell) for cell in line.split(",")]
        sides[int(row[0]) - 1][int(row[1])] = row[2:6]
    return sides


def main() -> None:
    crowds = []
    for seed in range(12):
        truth, guess = crowd(seed)
        crowds.append(
            {
                "gt": truth, "pred": guess, "motmetrics": by_motmetrics(truth, guess),
                "trackeval": by_trackeval(truth, guess),
            }
        )  # fmt: skip
    sequences = {}
    for name, frames in (("TUD-Campus", 71), ("TUD-Stadtmitte", 179)):
        sides = [read(Path(sys.argv[1]) / name / file, frames) for file in ("gt.txt", "test.txt")]
        sequences[name] = {"motmetrics": by_motmetrics(*sides), "trackeval": by_trackeval(*sides)}
    made_by = {name: version(name) for name in ("motmetrics", "trackeval", "numpy", "scipy")}
    command = "python scripts/record_mot.py ../shared/data/posetrack/mot > tests/reference/mot/recorded.json"
    json.dump({"command": command, "made_by": made_by, "crowds": crowds, "tud": sequences}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
