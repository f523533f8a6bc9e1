"""What smoothing does to jitter and accuracy.

Jitter is the mean acceleration of joints seen, in body sizes per second squared (posetrack.clean.stretches.jitter).
TRACKS TRUTH pairs are scored as `posetrack eval posetrack` does: PCK@0.2 of boxes, and PCKh@0.5 where the truth has
heads, with the area below its curve. `--noisy` takes true poses (PoseTrack18 files in a folder or zip, 25 frames a
second) and moves every joint by a normal 1.2 % of the body's size, divided by its score's square; scores are 0.75 to 1,
but 0.2 to 0.6 in spells of 2 to 8 frames that begin in 4 % of the frames. There PCK@0.05 of the root of the box's area.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from posetrack.clean.filters import Butterworth, Filter, OneEuro, SavitzkyGolay
from posetrack.clean.smooth import smooth
from posetrack.clean.stretches import body_size, jitter
from posetrack.evaluate.load import Side, pair_up, read_side, side_of_results
from posetrack.evaluate.people import chosen_joints
from posetrack.evaluate.report import PoseSettings, score_poses
from posetrack.results.lines import Header
from posetrack.results.posefile import PoseFile, read_poses
from posetrack.results.trajectories import Trajectories, Trajectory, read_trajectories

DEFAULTS: tuple[Filter, ...] = (OneEuro(), SavitzkyGolay(), Butterworth())
SWEEP: tuple[Filter, ...] = (
    *(OneEuro(cutoff, beta) for cutoff in (1.0, 2.0, 3.0, 4.0) for beta in (0.5, 1.0, 2.0)),
    *(SavitzkyGolay(window, order) for order in (2, 3) for window in (0.2, 0.3, 0.36, 0.44)),
    *(Butterworth(cutoff, order) for order in (1, 2, 4) for cutoff in (3.0, 4.0, 5.0, 6.0, 7.0)),
)
Score = Callable[[Sequence[Trajectories]], dict[str, float]]


def scored(tracks: Trajectories, truth: Side, joints: str | None) -> dict[str, float]:
    """PCK of boxes; PCKh and its area where the truth has heads. Percent."""
    guess = side_of_results(Path("tracks"), tracks.frames(), tracks.skeleton)
    pair, _ = pair_up(truth, guess, "every-frame")
    pair = pair.joints(chosen_joints(pair.skeleton, joints)) if joints else pair
    heads = bool(np.isfinite(pair.truth.heads).any())
    report = score_poses([pair], PoseSettings(reference="head" if heads else "box"))
    scores = {"PCK@0.2": report["pck_box"]["total"]}
    return scores | ({"PCKh@0.5": report["pckh"]["total"], "AUC": report["pckh"]["auc"]} if heads else {})


def table(title: str, tracks: Sequence[Trajectories], score: Score, filters: Sequence[Filter]) -> None:
    """Print jitter and scores of `tracks` as they are and after each filter."""
    before, moved = score(tracks), _jitter(tracks)
    print(f"\n{title}\n{'filter':56} {'jitter':>8} {'':>7} " + " ".join(f"{name:>15}" for name in before))
    print(f"{'as it is':56} {moved:8.2f} {'':7} " + " ".join(f"{value:7.2f}        " for value in before.values()))
    for filter in filters:
        for by_score in (True, False):
            after = [smooth(part, filter, by_score=by_score) for part in tracks]
            name = f"{filter}{'' if by_score else ', all joints alike'}".replace("derivative_cutoff=1.0", "...")
            change = f"{100 * (_jitter(after) / moved - 1):+6.1f}%"
            values = (f"{value:7.2f} ({value - before[key]:+.2f})" for key, value in score(after).items())
            print(f"{name:56} {_jitter(after):8.2f} {change} " + " ".join(values), flush=True)


def _jitter(tracks: Sequence[Trajectories]) -> float:
    return float(np.nanmean([jitter(part) for part in tracks]))


def true_tracks(path: Path) -> Iterator[Trajectories]:
    """The true poses of each sequence in a folder or zip, by person."""
    with tempfile.TemporaryDirectory() as folder:
        if path.is_file():
            zipfile.ZipFile(path).extractall(folder)
        for file in sorted(Path(folder if path.is_file() else path).rglob("*.json")):
            yield _by_person(read_poses(file))


def _by_person(poses: PoseFile) -> Trajectories:
    seen: dict[int, list[tuple[int, int]]] = {}
    for frame, ids in sorted(poses.ids.items()):
        for place, id in enumerate(ids):
            seen.setdefault(int(id), []).append((frame, place))
    people = []
    for id, places in sorted(seen.items()):
        joints = np.stack([poses.frames[frame].keypoints[place] for frame, place in places])
        boxes = np.stack([poses.frames[frame].boxes[place] for frame, place in places])
        rows, n = np.array([frame for frame, _ in places]), len(places)
        nothing = np.zeros((n, 0), np.float32)
        people.append(
            Trajectory(id, rows, joints, joints, boxes, np.ones(n, np.float32), np.full(n, "file"), nothing)
        )
    frames = np.arange(poses.length)
    header = Header({}, {}, poses.skeleton, {})
    return Trajectories(header, frames, frames / 25, np.zeros(len(frames), np.bool_), tuple(people))


def noisy(tracks: Trajectories, rng: np.random.Generator) -> Trajectories:
    """The tracks with joints moved as the module's head tells."""
    people = []
    for person in tracks.people:
        frames, joints, _ = person.keypoints.shape
        scores = rng.uniform(0.75, 1, (frames, joints))
        for joint, begin in zip(*np.nonzero(rng.random((joints, frames)) < 0.04), strict=True):
            scores[begin : begin + rng.integers(2, 9), joint] = rng.uniform(0.2, 0.6)
        keypoints = person.keypoints.copy()
        spread = 0.012 * body_size(person.boxes)[:, None] / scores**2
        keypoints[..., :2] += rng.normal(size=(frames, joints, 2)) * spread[..., None]
        keypoints[..., 2] = np.where(np.isnan(keypoints[..., 0]), 0, scores)
        people.append(replace(person, keypoints=keypoints))
    return replace(tracks, people=tuple(people))


def nearness(truth: Sequence[Trajectories], tracks: Sequence[Trajectories]) -> dict[str, float]:
    """PCK@0.05 and the mean error in hundredths, in roots of the box's area."""
    parts = []
    for true, guess in zip(truth, tracks, strict=True):
        for a, b in zip(true.people, guess.people, strict=True):
            off = np.linalg.norm(a.keypoints[..., :2] - b.keypoints[..., :2], axis=2) / body_size(a.boxes)[:, None]
            parts.append(off[np.isfinite(off)])
    errors = np.concatenate(parts)
    return {"PCK@0.05": 100 * float((errors <= 0.05).mean()), "error, %": 100 * float(errors.mean())}


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[TRACKS TRUTH]...")
@click.option("--noisy", "poses", type=click.Path(exists=True, path_type=Path), help="True poses to spoil and smooth.")
@click.option("--joints", help="Score these of the truth's joints only; body: the 12 of the limbs.")
@click.option("--sweep", is_flag=True, help="Other settings than the defaults, too.")
def main(files: tuple[Path, ...], poses: Path | None, joints: str | None, sweep: bool) -> None:
    """Print jitter and scores before and after each filter."""
    if len(files) % 2:
        raise click.UsageError("Give a TRUTH for each TRACKS.")
    filters = SWEEP if sweep else DEFAULTS
    for path, other in zip(files[::2], files[1::2], strict=True):
        truth = read_side(other)
        score: Score = lambda tracks, truth=truth: scored(tracks[0], truth, joints)  # type: ignore[misc]  # noqa: E731
        table(path.name, [read_trajectories(path)], score, filters)
    if poses is not None:
        true = list(true_tracks(poses))
        rng = np.random.default_rng(0)
        print(f"\njitter of the true poses of {poses.name}: {_jitter(true):.2f}")
        spoilt = [noisy(tracks, rng) for tracks in true]
        table(f"{poses.name} with noise", spoilt, lambda tracks: nearness(true, tracks), filters)


if __name__ == "__main__":
    main()
