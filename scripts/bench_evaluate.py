"""How fast scores are, and MOTA per joint side by side with motmetrics: same numbers, less time.

python scripts/bench_evaluate.py                       # a long sequence: AP, MOTA, HOTA, seconds and memory
pip install 'numpy<2' motmetrics==1.4.0                # not a dependency
python scripts/bench_evaluate.py --motmetrics --frames 300 --rounds 3
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from posetrack.evaluate.average_precision import average_precision, detections_of
from posetrack.evaluate.identity import hota, hota_scores
from posetrack.evaluate.joints import joint_pairs
from posetrack.evaluate.mota import clear_joints, mota_scores
from posetrack.evaluate.people import Doubles, Pair, People
from posetrack.evaluate.similarity import similar_people
from posetrack.skeleton import POSETRACK17


def made(frames: int, people: int, seed: int = 0) -> Pair:
    """People who cross a 1500 px square; predictions with noise, gross errors, misses and exchanged ids."""
    random = np.random.default_rng(seed)
    joints = len(POSETRACK17)
    start, speed = random.uniform(0, 1500, (people, 2)), random.normal(0, 2, (people, 2))
    centre = np.abs((start + speed * np.arange(frames)[:, None, None]) % 3000 - 1500)
    body = random.uniform(-60, 60, (people, joints, 2)) * [0.6, 1.6]
    true = centre[:, :, None] + body
    guess = true + random.normal(0, 4, true.shape)
    guess[random.random(true.shape[:3]) < 0.02] += 60
    ids = np.tile(np.arange(people), (frames, 1))
    given = ids.copy()
    for _ in range(frames // 20):
        (a, b), late = random.integers(0, people, 2), random.integers(0, frames)
        given[late:, [a, b]] = given[late:, [b, a]]
    frame = np.repeat(np.arange(frames), people)
    kept = random.random(len(frame)) > 0.03

    def boxes(points: Doubles) -> Doubles:
        return np.concatenate([points.min(axis=2), points.max(axis=2)], axis=-1).reshape(-1, 4)

    truth = People.of(
        frame, ids.ravel(), true.reshape(-1, joints, 2), boxes=boxes(true), heads=np.full(len(frame), 30.0)
    )
    prediction = People.of(
        frame, given.ravel(), guess.reshape(-1, joints, 2),
        joint_scores=random.random((len(frame), joints)), boxes=boxes(guess),
    )  # fmt: skip
    return Pair("made", frames, np.ones(frames, bool), POSETRACK17, truth, prediction[kept])


def ours(pair: Pair) -> Doubles:
    """MOTA (J,) in percent."""
    return mota_scores(clear_joints(pair, joint_pairs(pair)))["mota"]


def theirs(pair: Pair) -> Doubles:
    """The same by one motmetrics accumulator a joint, as poseval does it; distances vectorised."""
    import motmetrics

    truth, guess = pair.truth, pair.prediction
    joints = len(pair.skeleton)
    accumulators = [motmetrics.MOTAccumulator(auto_id=True) for _ in range(joints)]
    for frame in range(pair.frames):
        t = slice(*np.searchsorted(truth.frame, [frame, frame + 1]))
        g = slice(*np.searchsorted(guess.frame, [frame, frame + 1]))
        offset = truth.keypoints[t][:, None] - guess.keypoints[g][None]
        distance = np.sqrt(np.square(offset).sum(axis=-1)) / truth.heads[t][:, None, None]
        distance[~(distance <= 0.5)] = np.nan
        for joint, accumulator in enumerate(accumulators):
            accumulator.update(truth.id[t], guess.id[g], distance[..., joint])
    judge = motmetrics.metrics.create()
    scores = [judge.compute(a, metrics=["mota"], return_dataframe=False)["mota"] for a in accumulators]
    return 100 * np.array(scores)


def timed(work: Callable[[Pair], Any], pair: Pair) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work(pair)
    return time.perf_counter() - start, result


def compare(pair: Pair, rounds: int) -> None:
    """Both in turn; the least time of each counts, and the ratio of every round is shown."""
    pairs = []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        seconds = {work.__name__: timed(work, pair) for work in order}
        difference = np.abs(seconds["ours"][1] - seconds["theirs"][1]).max()
        pairs.append((seconds["ours"][0], seconds["theirs"][0]))
        print(
            f"round {number}: ours {pairs[-1][0]:.3f} s, motmetrics {pairs[-1][1]:.3f} s, "
            f"{pairs[-1][1] / pairs[-1][0]:.0f} times; largest difference {difference:.1e} %"
        )
    print(f"median ratio {statistics.median(b / a for a, b in pairs):.0f}")


def score_all(pair: Pair) -> str:
    """AP, MOTA over all joints and HOTA of one sequence."""
    near = joint_pairs(pair)
    ap = average_precision([detections_of(pair, near)], len(pair.skeleton))[0]
    mota = mota_scores(clear_joints(pair, near))["mota"]
    curve = hota_scores(hota(pair, similar_people(pair, "oks")))["hota"]
    return f"AP {ap.mean():.2f}, MOTA {mota.mean():.2f}, HOTA {curve.mean():.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--motmetrics", action="store_true", help="compare MOTA per joint with motmetrics")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pair = made(options.frames, options.people)
    if options.motmetrics:
        compare(pair, options.rounds)
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    seconds, text = timed(score_all, pair)
    cpu = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{options.frames} frames of {options.people}: {text}")
    print(f"{seconds:.1f} s ({cpu:.1f} s of CPU), peak {peak / 1024:.0f} MiB ({before / 1024:.0f} before scoring)")


if __name__ == "__main__":
    main()
