"""Pictures of bad frames: the prediction drawn as always, the truth over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from posetrack.errors import OutputError
from posetrack.evaluate.people import Pair, People
from posetrack.evaluate.worst import BadFrame
from posetrack.render import draw_people
from posetrack.types import Image, Person
from posetrack.video import open_video

__all__ = ["draw_frame", "save_overlays"]

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def save_overlays(pair: Pair, bad: Sequence[BadFrame], source: str, folder: Path) -> dict[int, Path]:
    """Write a PNG of each bad frame of `pair` into `folder`, and give their paths by frame.

    `source` is its video or folder of pictures.
    """
    wanted = {frame.frame for frame in bad if frame.sequence == pair.name}
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[int, Path] = {}
    with open_video(source) as video:
        for frame in video:
            if frame.index not in wanted:
                continue
            path = folder / f"{pair.name}_{frame.index:06d}.png"
            if not cv2.imwrite(str(path), draw_frame(frame.image, pair, frame.index)[..., ::-1]):
                raise OutputError(f"{path}: cannot be written; choose another folder")
            written[frame.index] = path
            if len(written) == len(wanted):
                break
    return written


def draw_frame(image: Image, pair: Pair, frame: int) -> Image:
    """A copy of `image` (H, W, 3) RGB with the predicted people of a frame, and true joints as rings over them."""
    drawn = draw_people(image, _people(pair.prediction, frame), pair.skeleton, threshold=-np.inf)
    canvas = np.ascontiguousarray(drawn)
    rows = np.flatnonzero(pair.truth.frame == frame)
    size = max(2, round(max(image.shape[:2]) / 300))
    for points in pair.truth.keypoints[rows]:
        for a, b in pair.skeleton.edges:
            if np.isfinite(points[[a, b]]).all():
                start, end = ([int(v) for v in np.rint(points[i])] for i in (a, b))
                cv2.line(canvas, start, end, _WHITE, 1, cv2.LINE_AA)
        for point in points[np.isfinite(points[:, 0])]:
            centre = tuple(int(v) for v in np.rint(point))
            cv2.circle(canvas, centre, size + 1, _BLACK, 1, cv2.LINE_AA)
            cv2.circle(canvas, centre, size, _WHITE, 1, cv2.LINE_AA)
    title = f"{pair.name} {pair.name_of(frame)}: white is the truth"
    for colour, width in ((_BLACK, 4), (_WHITE, 1)):
        cv2.putText(canvas, title, (8, 8 * size), cv2.FONT_HERSHEY_SIMPLEX, 0.2 * size, colour, width, cv2.LINE_AA)
    return canvas


def _people(people: People, frame: int) -> list[Person]:
    """The people of a frame as the renderer wants them."""
    rows = np.flatnonzero(people.frame == frame)
    scored = np.concatenate([people.keypoints[rows], people.joint_scores[rows][..., None]], axis=2)
    return [
        Person(int(people.id[r]), float(people.scores[r]), people.boxes[r].astype(np.float32), k.astype(np.float32))
        for r, k in zip(rows, scored, strict=True)
    ]
