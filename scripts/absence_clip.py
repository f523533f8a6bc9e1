"""Makes a clip whose truth is known: people who cross, hide, leave and return, two of them in the same clothes.

    python scripts/absence_clip.py SEED OUT.mp4

The astronaut portrait of scikit-image (public domain, NASA), as in demo_clip.py, walks about before a textured
background under a camera that pans: 20 seconds, 640x360. The seed chooses clothes, sizes, the moments, and on which
side people return. OUT.truth.tracks.json beside it has the people of each frame who can be seen, under their true ids:

    1 hides behind a wall for 3 s   2 leaves the picture for 5 s   3 comes in later, in other clothes
    4 and 5 wear the same, cross, and are both away for some seconds   6 walks before all others
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demo_clip import FPS, HEIGHT, WIDTH, Layer, Walk, cut_out, dress, paste, placed, texture
from numpy.typing import NDArray
from skimage import data

from posetrack.results.native import Header, write_tracks
from posetrack.skeleton import COCO17
from posetrack.types import Floats, FrameResult, Person
from posetrack.video import VideoWriter

SECONDS = 20.0
FAR, NEAR = 235, 372
"""The rows that the feet of the two rows of people stand on; the far row's are behind a low wall."""

LOW_WALL, PILLAR_TOP, PILLAR_WIDTH, PAN = 222, 40, 170, 24

LABELS = {
    "nose": (225, 122), "right_eye": (202, 101), "left_eye": (247, 103), "right_ear": (177, 122),
    "left_ear": (272, 128), "right_shoulder": (85, 255), "left_shoulder": (322, 262), "right_elbow": (62, 437),
    "right_wrist": (128, 497),
}  # fmt: skip
"""Where the joints are in the portrait, in its pixels, as far as it shows them; labelled by hand."""

SEEN = 0.35
"""The truth holds who shows at least this share of his pixels: fewer are a head or an arm at the edge of something."""

HUES = (40, 85, 140, 185, 230, 290)


@dataclass(frozen=True)
class Actor:
    """Somebody of the clip: a walk in the scene's pixels, the portrait dressed for it, and its joints."""

    id: int
    walk: Walk
    floor: int
    dressed: Layer
    joints: Floats

    def corner(self, time: float) -> tuple[float, float]:
        """Where the left and top of the dressed portrait are, in the scene."""
        height, width = self.dressed.shape[:2]
        bob = height / 60 * np.sin(time * 9 + 2 * self.id)
        return self.walk.middle(time) - width / 2, self.floor - height + bob


def walks(seed: int) -> tuple[Walk, ...]:
    """The six walks of a seed, by id."""
    rng = np.random.default_rng(seed)

    def about(value: float, spread: float) -> float:
        return round(float(value + rng.uniform(-spread, spread)), 2)

    hues = [int(hue) for hue in rng.permutation(HUES)]
    through, opposite, crossed = seed % 2 == 1, seed % 4 > 1, seed % 3 == 0
    heights = [round(about(128, 8)) for _ in range(3)] + [round(about(170, 8))] * 2 + [round(about(205, 8))]
    hides, leaves, away = about(3.2, 0.4), about(3.0, 0.5), about(9.5, 0.5)
    left, right = -130, WIDTH + 130
    paths: list[tuple[tuple[float, float], ...]] = [
        ((0, 60), (hides, 310), (hides + 1.1, 330), (hides + 2.4, 450 if through else 190),
         (13, 590 if through else 60), (20, 470 if through else 240)),
        ((0, 470), (leaves, right), *jump(leaves + 1.4, right, left if opposite else right),
         (leaves + 5.4, 160 if opposite else 500), (15, 240 if opposite else 400), (20, 90 if opposite else 590)),
        ((0, left), (10, left), (20, about(430, 40))),
        ((0, 110), (5.5, 470), (7.5, 470), (away, right), (away + 2, right), (away + 5, 430), (20, 540)),
        ((0, 540), (5.5, 150), (7.5, 150), (away + 0.5, left), *jump(away + 2.6, left, right if crossed else left),
         (away + 6, 500 if crossed else 160), (20, 300 if crossed else 100)),
        ((0, 330), (3, about(240, 30)), (8, 360), (14, about(300, 60)), (20, 250)),
    ]  # fmt: skip
    clothes = [*hues[:4], hues[3], 0]
    mirrored = [bool(rng.integers(2)) for _ in paths]
    return tuple(Walk(*walk) for walk in zip(heights, paths, mirrored, clothes, strict=True))


def jump(time: float, place: float, other: float) -> tuple[tuple[float, float], ...]:
    """From one place to another between two frames: for somebody out of sight."""
    return (time, place), (time + 0.01, other)


def cast(seed: int) -> tuple[Actor, ...]:
    """The people of the clip, those behind first."""
    person = cut_out(data.astronaut())
    return tuple(
        Actor(id, walk, FAR if id <= 3 else NEAR, dress(person, walk), joints_of(walk, person.shape))
        for id, walk in enumerate(walks(seed), start=1)
    )


def joints_of(walk: Walk, portrait: tuple[int, ...]) -> Floats:
    """The labels at a walk's size, (17, 3) from the dressed portrait's corner; a mirrored left is a right."""
    scale = walk.height / portrait[0]
    joints = np.full((len(COCO17), 3), np.nan, np.float32)
    joints[:, 2] = 0
    for name, (x, y) in LABELS.items():
        joints[COCO17.index(name)] = ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, 1)
    if walk.mirrored:
        joints[:, 0] = round(portrait[1] * scale) - 1 - joints[:, 0]
        joints = joints[list(COCO17.flip_order)]
    return joints


def wall(seed: int) -> Layer:
    """The low wall with its pillar in the whole scene, RGB and opacity."""
    width = WIDTH + 2 * PAN
    bricks = texture(seed + 200, width, HEIGHT, ((96, 84, 72), (172, 156, 136)))
    bricks[LOW_WALL::18] *= 0.6
    opaque = np.zeros((HEIGHT, width, 1), np.float32)
    opaque[LOW_WALL:] = 1
    middle = 320 + PAN
    opaque[PILLAR_TOP:, middle - PILLAR_WIDTH // 2 : middle + PILLAR_WIDTH // 2] = 1
    return np.concatenate([bricks, opaque], axis=2)


def visible(layers: list[Layer]) -> list[NDArray[np.float32]]:
    """How much of each pixel shows of each layer (H, W) when later ones lie over it."""
    left = np.ones(layers[0].shape[:2], np.float32)
    shares = []
    for layer in reversed(layers):
        shares.append(layer[..., 3] * left)
        left = left * (1 - layer[..., 3])
    return shares[::-1]


def truth_of(actor: Actor, shown: NDArray[np.float32], corner: tuple[float, float]) -> Person | None:
    """The actor as a frame shows him, None where it hardly does: the box of his visible pixels, his visible joints."""
    pixels = shown > 0.5
    if pixels.sum() < SEEN * (actor.dressed[..., 3] > 0.5).sum():
        return None
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    box = np.array([columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5], np.float32)
    joints = actor.joints.copy()
    joints[:, :2] += np.array(corner, np.float32)
    x, y = np.rint(np.nan_to_num(joints[:, :2], nan=-1)).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < WIDTH) & (y < HEIGHT)
    hidden = ~inside
    hidden[inside] = shown[y[inside], x[inside]] < 0.2
    joints[hidden] = (np.nan, np.nan, 0)
    return Person(actor.id, 1.0, box, joints, "file")


def frames(seed: int) -> Iterator[tuple[NDArray[np.uint8], FrameResult]]:
    """Picture and truth of each frame."""
    actors = cast(seed)
    scenery = texture(seed + 100, WIDTH + 2 * PAN, HEIGHT, ((88, 104, 120), (196, 200, 190)))
    walls = wall(seed)
    for n in range(round(SECONDS * FPS)):
        time = n / FPS
        pan = round(PAN * (1 + np.sin(time * 0.5)))
        corners = [(x + PAN - pan, y) for x, y in (actor.corner(time) for actor in actors)]
        layers = [
            placed(actor.dressed, *corner, (HEIGHT, WIDTH)) for actor, corner in zip(actors, corners, strict=True)
        ]
        layers.insert(3, walls[:, pan : pan + WIDTH])
        canvas = scenery[:, pan : pan + WIDTH].copy()
        for layer in layers:
            paste(canvas, layer)
        shown = visible(layers)
        del shown[3]
        people = [truth_of(*each) for each in zip(actors, shown, corners, strict=True)]
        picture = np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8)
        yield picture, FrameResult(n, time, tuple(person for person in people if person is not None))


def main(seed: int, target: Path) -> None:
    """Write the clip and, beside it, its truth."""
    truth = []
    with VideoWriter(target, WIDTH, HEIGHT, FPS, overwrite=True) as writer:
        for picture, people in frames(seed):
            writer.write(picture, people.time)
            truth.append(people)
        writer.last_frame_ends = SECONDS
    video = {"path": target.name, "width": WIDTH, "height": HEIGHT, "fps": float(FPS), "duration": SECONDS}
    header = Header({"absence_clip": "1"}, video, COCO17, {"seed": seed})
    write_tracks(target.with_suffix(".truth.tracks.json"), header, truth, overwrite=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
