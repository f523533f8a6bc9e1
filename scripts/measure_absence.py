"""What becomes of identities when people hide, leave and return: absence_clip.py's clips, tracked in four ways.

A person of the truth counts in the frames that show enough of him; boxes of truth and tracks pair from an IoU of 0.5
(as `posetrack eval mot`). A switch is a person under another id than the last time; "two people in an id" counts the
ids that hold two people of the truth, at least a second of each.

With --poses instead: true poses without pictures, clean and spoilt, as measure_identities.py tracks them, so that
nothing but motion and bodies can join.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import absence_clip
import click
import numpy as np
from measure_identities import NOTHING, read_sequences, spoilt

from posetrack.clean.stitch import stitch
from posetrack.evaluate.boxes import load_boxes
from posetrack.evaluate.report import score_boxes
from posetrack.evaluate.similarity import similar_people
from posetrack.results.native import Header, read_tracks, write_tracks
from posetrack.results.posefile import PoseFile
from posetrack.results.trajectories import Trajectories, read_trajectories
from posetrack.tracker import PoseTracker
from posetrack.types import Frame, FrameResult, Poses

WAYS = {
    "as it is": ([], []),
    "--reidentify 8": (["--reidentify", "8"], []),
    "clean --stitch": ([], ["--stitch"]),
    "both": (["--reidentify", "8"], ["--stitch"]),
}
"""By name: what `posetrack run` and `posetrack clean` are asked for; nothing: it is not called."""


def posetrack(*words: object) -> None:
    """Call a command of posetrack; its errors are shown, and end this."""
    done = subprocess.run([sys.executable, "-m", "posetrack", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def tracked(clip: Path, way: str, again: bool) -> Path:
    """The tracks of a clip in one way; those that are there already are taken, unless `again`."""
    running, cleaning = WAYS[way]
    tracks = clip.with_suffix("".join(running).replace("--", ".") + ".tracks.json")
    if again or not tracks.exists():
        posetrack("run", clip, "-o", tracks, "--quiet", "--overwrite", *running)
    if not cleaning:
        return tracks
    cleaned = tracks.with_suffix("").with_suffix(".stitched.tracks.json")
    posetrack("clean", tracks, "-o", cleaned, "--overwrite", *cleaning)
    return cleaned


def row(tracks: Path, truth: Path) -> tuple[int, float, int, int]:
    """Switches, IDF1, the number of ids, and how many of them hold two people."""
    pairs = load_boxes(tracks, truth).pairs
    scores = score_boxes(pairs)
    alike = similar_people(pairs[0], "iou")
    near = alike.similarity >= 0.5
    true, guessed = pairs[0].truth.id[alike.truth[near]], pairs[0].prediction.id[alike.prediction[near]]
    both, frames = np.unique(np.stack([guessed, true]), axis=1, return_counts=True)
    lasting = both[0, frames >= absence_clip.FPS]
    mixed = int((np.unique(lasting, return_counts=True)[1] > 1).sum())
    return scores["id_switches"], scores["idf1"], len(read_tracks(tracks).tracks), mixed


Truth = dict[tuple[int, int], int]
"""Who is who: by row and id of a pose."""


def tracked_alone(sequence: PoseFile, seed: int | None) -> tuple[Trajectories, Truth]:
    """The poses of a sequence, spoilt if there is a `seed`, tracked by motion alone."""
    rng = None if seed is None else np.random.default_rng([seed, zlib.crc32(sequence.path.stem.encode())])
    tracker, truth, frames = PoseTracker(sequence.skeleton), {}, []
    for index in range(sequence.length):
        poses = sequence.frames.get(index, Poses.empty(len(sequence.skeleton)))
        ids = sequence.ids.get(index, np.zeros(0, np.int64))
        if rng is not None:
            poses, rows = spoilt(poses, rng)
            poses, ids = poses[rows], ids[rows]
        who = {pose.tobytes(): int(id) for pose, id in zip(poses.keypoints, ids, strict=True)}
        people = tracker.step(Frame(index, 0.0, NOTHING), poses, None, None)
        truth |= {(index, person.id): who[person.keypoints.tobytes()] for person in people}
        frames.append(FrameResult(index, index / absence_clip.FPS, tuple(people)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alone.tracks.json"
        write_tracks(path, Header({}, {}, sequence.skeleton, {}), frames)
        return read_trajectories(path), truth


def count_switches(truth: Truth) -> int:
    """How often a person of the truth has another id than it last had."""
    last: dict[int, int] = {}
    switches = 0
    for (_, id), person in sorted(truth.items()):
        switches += last.get(person, id) != id
        last[person] = id
    return switches


def joined_alone(sequence: PoseFile, seed: int | None) -> tuple[int, int, int, int]:
    """Switches before and after, joins, and those of two people."""
    tracks, truth = tracked_alone(sequence, seed)
    stitched, joins = stitch(tracks)
    ids = {join.joined: join.kept for join in joins}
    after = {(row, ids.get(id, id)): person for (row, id), person in truth.items()}
    old, new = ({person.id: person for person in each.people} for each in (tracks, stitched))
    wrong = 0
    for join in joins:
        begin = int(old[join.joined].rows[0])
        end = int(new[join.kept].rows[np.searchsorted(new[join.kept].rows, begin) - 1])
        wrong += after[end, join.kept] != after[begin, join.kept]
    return count_switches(truth), count_switches(after), len(joins), wrong


def measure_alone(path: Path, seeds: tuple[int, ...]) -> None:
    """Print the table for the poses of `path`."""
    sequences = read_sequences(path)
    print(f"{'poses':>12}  switches  after --stitch  joins  wrong")
    for seed in (None, *seeds):
        rows = [joined_alone(sequence, seed) for sequence in sequences.values()]
        before, after, joins, wrong = np.sum(rows, axis=0)
        name = "clean" if seed is None else f"spoilt {seed}"
        print(f"{name:>12}  {before:8}  {after:14}  {joins:5}  {wrong:5}", flush=True)


@click.command()
@click.argument("seeds", type=int, nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), default=Path("out/absence"), show_default=True)
@click.option("--again", is_flag=True, help="Track again what has been tracked already.")
@click.option("--poses", type=click.Path(exists=True, path_type=Path), help="Poses of PoseTrack18 to join instead.")
def main(seeds: tuple[int, ...], folder: Path, again: bool, poses: Path | None) -> None:
    """Print the table for the clips of SEEDS (1 2 3)."""
    seeds = seeds or (1, 2, 3)
    if poses:
        measure_alone(poses, seeds)
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'seed':>4}  {'':16} {'switches':>8}  {'IDF1':>5}  {'ids':>3} (of 6)  {'two people in an id':>19}")
    for seed in seeds:
        clip = folder / f"absence{seed}.mp4"
        if not clip.exists():
            absence_clip.main(seed, clip)
        for way in WAYS:
            switches, idf1, ids, mixed = row(tracked(clip, way, again), clip.with_suffix(".truth.tracks.json"))
            print(f"{seed:4}  {way:16} {switches:8}  {idf1:5.1f}  {ids:3}         {mixed:19}", flush=True)


if __name__ == "__main__":
    main()
