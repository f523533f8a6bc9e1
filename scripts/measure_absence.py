"""What becomes of identities when people hide, leave and return: absence_clip.py's clips, tracked in four ways.

A person of the truth counts in the frames that show enough of him; boxes of truth and tracks pair from an IoU of 0.5
(as `posetrack eval mot`). A switch is a person under another id than the last time; "wrong joins" are ids that hold
two people of the truth, at least a second of each.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import absence_clip
import click
import numpy as np

from posetrack.evaluate.boxes import load_boxes
from posetrack.evaluate.report import score_boxes
from posetrack.evaluate.similarity import similar_people
from posetrack.results.native import read_tracks

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


@click.command()
@click.argument("seeds", type=int, nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), default=Path("out/absence"), show_default=True)
@click.option("--again", is_flag=True, help="Track again what has been tracked already.")
def main(seeds: tuple[int, ...], folder: Path, again: bool) -> None:
    """Print the table for the clips of SEEDS (1 2 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'seed':>4}  {'':16} {'switches':>8}  {'IDF1':>5}  {'ids':>3} (of 6)  {'two people in an id':>19}")
    for seed in seeds or (1, 2, 3):
        clip = folder / f"absence{seed}.mp4"
        if not clip.exists():
            absence_clip.main(seed, clip)
        for way in WAYS:
            switches, idf1, ids, mixed = row(tracked(clip, way, again), clip.with_suffix(".truth.tracks.json"))
            print(f"{seed:4}  {way:16} {switches:8}  {idf1:5.1f}  {ids:3}         {mixed:19}", flush=True)


if __name__ == "__main__":
    main()
