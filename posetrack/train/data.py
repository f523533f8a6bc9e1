"""Pictures with labels: COCO JSON beside a folder of images or inside a zip shard, and a cache of people cut out.

Pictures are decoded once: every person is cut out with a margin, made no larger than the training needs, and put
into one flat uint8 buffer, in memory or in a file that later runs map. An epoch then costs one warp a person.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError, InputError
from posetrack.types import Floats, Image

__all__ = [
    "CropCache", "LabelledPerson", "PeopleSet", "Shard", "fill_from_machine", "machine_joints", "machine_people",
    "people_of",
]  # fmt: skip


class Shard:
    """COCO annotations and their pictures, in a zip (`annotations.json`, `images/`) or in a folder.

    A folder holds `annotations.json` and `images/`; otherwise give the JSON and the images' folder apart.
    Raises InputError when it is not there and FormatError when it is not COCO JSON.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._zip: zipfile.ZipFile | None = None
        self._images = images
        if not self.path.exists():
            raise InputError(f"{path}: no such data; give a zip shard, a folder or a COCO JSON")
        if self.path.suffix == ".zip":
            self._zip = zipfile.ZipFile(self.path)
            text = self._read("annotations.json")
        else:
            source = self.path / "annotations.json" if self.path.is_dir() else self.path
            self._images = images or source.parent / "images"
            if not source.exists():
                raise InputError(f"{source}: no such file; a data folder holds annotations.json and images/")
            text = source.read_bytes()
        try:
            content = json.loads(text)
            self.images: dict[Any, dict[str, Any]] = {image["id"]: image for image in content["images"]}
            self.annotations: list[dict[str, Any]] = content["annotations"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path}: not COCO JSON ({error}); it wants images and annotations") from error

    def _read(self, name: str) -> bytes:
        assert self._zip is not None
        try:
            return self._zip.read(name)
        except KeyError as error:
            raise FormatError(f"{self.path}: holds no {name}") from error

    def picture(self, image_id: Any) -> Image:
        """The picture (H, W, 3) uint8 RGB; InputError when it is missing or cannot be decoded."""
        name = self.images[image_id]["file_name"]
        if self._zip is not None:
            raw = self._read(f"images/{name}")
        else:
            assert self._images is not None
            file = self._images / name
            if not file.exists():
                raise InputError(f"{file}: picture of {self.path} is missing")
            raw = file.read_bytes()
        picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f"{self.path}: picture {name} cannot be decoded")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def by_image(self) -> dict[Any, list[dict[str, Any]]]:
        """The annotations of every picture, also of pictures without any, in the file's order."""
        groups: dict[Any, list[dict[str, Any]]] = {image_id: [] for image_id in self.images}
        for annotation in self.annotations:
            groups[annotation["image_id"]].append(annotation)
        return groups


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """One person of a picture: `box` (4,) x1, y1, x2, y2 and `joints` (J, 3) x, y, weight, in its pixels.

    Weight 0 is an unlabelled joint, 1 one that a human labelled; machine-made joints lie between.
    """

    image_id: Any
    box: Floats
    joints: Floats
    annotation_id: Any = None


def people_of(shard: Shard) -> list[LabelledPerson]:
    """The people of `shard` that have at least one labelled joint, hidden joints included."""
    people = []
    for annotation in shard.annotations:
        if annotation.get("iscrowd") or not any(annotation.get("keypoints", ())[2::3]):
            continue
        joints = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
        joints[:, 2] = joints[:, 2] > 0
        people.append(LabelledPerson(annotation["image_id"], _corners(annotation["bbox"]), joints, annotation["id"]))
    return people


def machine_joints(path: Path, member: str, ceiling: float = 0.6) -> dict[Any, Floats]:
    """Joints (J, 3) that another network made, by annotation id, from `member` of the zip `path`.

    Their weight rises from 0 at a score of 0.25 to `ceiling` at 0.75.
    """
    rows = json.loads(zipfile.ZipFile(path).read(member))
    found = {}
    for row in rows:
        joints = np.array(row["keypoints"], np.float32).reshape(-1, 3)
        joints[:, 2] = ceiling * np.clip((joints[:, 2] - 0.25) / 0.5, 0, 1)
        found[row["annotation_id"]] = joints
    return found


def machine_people(shard: Shard, joints: Mapping[Any, Floats], fewest: int = 5) -> list[LabelledPerson]:
    """The boxes of `shard` as people with machine-made `joints`, where at least `fewest` have any weight."""
    return [
        LabelledPerson(a["image_id"], _corners(a["bbox"]), joints[a["id"]], a["id"])
        for a in shard.annotations
        if a["id"] in joints and (joints[a["id"]][:, 2] > 0).sum() >= fewest
    ]


def fill_from_machine(
    people: Sequence[LabelledPerson], joints: Mapping[Any, Floats], far: float = 0.25
) -> list[LabelledPerson]:
    """`people` with machine-made `joints` where they have no label of their own.

    A human label further than `far` of the box's longer side from a confident machine-made one is doubted: one
    of the two is wrong, and neither teaches.
    """
    filled = []
    for person in people:
        machine = joints.get(person.annotation_id)
        if machine is not None:
            own = person.joints[:, 2] > 0
            side = float((person.box[2:] - person.box[:2]).max())
            apart = np.linalg.norm(person.joints[:, :2] - machine[:, :2], axis=1) > far * side
            merged = np.where(own[:, None], person.joints, machine)
            merged[own & apart & (machine[:, 2] >= 0.4), 2] = 0
            person = replace(person, joints=merged.astype(np.float32))
        filled.append(person)
    return filled


def _corners(bbox: Sequence[float]) -> Floats:
    x, y, width, height = bbox
    return np.array([x, y, x + width, y + height], np.float32)


@dataclass(frozen=True, eq=False)
class CropCache:
    """People cut out of their pictures: what is left of a training set once it is decoded.

    `pixels` is one flat uint8 buffer, `offsets` (N,) where each crop begins, `shapes` (N, 2) height and width,
    `boxes` (N, 4) and `joints` (N, J, 3) in the crop's own pixels.
    """

    pixels: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    shapes: NDArray[np.int32]
    boxes: Floats
    joints: Floats

    def __len__(self) -> int:
        return len(self.offsets)

    def crop(self, i: int) -> Image:
        """The picture (h, w, 3) uint8 RGB of person `i`."""
        height, width = self.shapes[i]
        start = self.offsets[i]
        return self.pixels[start : start + int(height) * int(width) * 3].reshape(height, width, 3)

    @classmethod
    def build(cls, shard: Shard, people: Sequence[LabelledPerson], height: int, aspect: float) -> CropCache:
        """Cut `people`, at least one, out with the margin that augmentation needs.

        A box grown to `aspect` (width / height) is at most `height` pixels high.
        """
        by_image: dict[Any, list[LabelledPerson]] = {}
        for person in people:
            by_image.setdefault(person.image_id, []).append(person)
        pieces = []
        for image_id, group in by_image.items():
            picture = shard.picture(image_id)
            pieces += [_cut(picture, person, height, aspect) for person in group]
        images = [image for image, _, _ in pieces]
        sizes = [image.size for image in images]
        return cls(
            np.concatenate([image.reshape(-1) for image in images]),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
            np.array([image.shape[:2] for image in images], np.int32),
            np.array([box for _, box, _ in pieces], np.float32),
            np.array([labels for _, _, labels in pieces], np.float32),
        )

    def save(self, folder: Path) -> None:
        """Write the cache into `folder`, which is made; another process may be doing the same."""
        part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        part.mkdir(parents=True, exist_ok=True)
        np.save(part / "pixels.npy", self.pixels)
        np.savez(
            part / "labels.npz", offsets=self.offsets, shapes=self.shapes, boxes=self.boxes, joints=self.joints,
        )  # fmt: skip
        try:
            part.rename(folder)
        except OSError:
            if not (folder / "labels.npz").exists():
                raise
            shutil.rmtree(part)

    @classmethod
    def load(cls, folder: Path) -> CropCache:
        """The cache in `folder`, its pixels mapped rather than read."""
        labels = np.load(folder / "labels.npz")
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return cls(pixels, labels["offsets"], labels["shapes"], labels["boxes"], labels["joints"])


MARGIN = 1.25 * 1.4
"""How much of the box's surroundings a crop keeps: the network's own padding, and room for scale and rotation."""


def _cut(picture: Image, person: LabelledPerson, height: int, aspect: float) -> tuple[Image, Floats, Floats]:
    x1, y1, x2, y2 = (float(v) for v in person.box)
    tall = max(y2 - y1, (x2 - x1) / aspect, 1.0)
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(cx - tall * aspect * MARGIN / 2)), max(0, int(cy - tall * MARGIN / 2))
    right = min(picture.shape[1], int(cx + tall * aspect * MARGIN / 2) + 2)
    bottom = min(picture.shape[0], int(cy + tall * MARGIN / 2) + 2)
    region = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    size = np.array([region.shape[1], region.shape[0]])
    target = np.maximum(1, np.round(size * min(1.0, height / tall))).astype(int)
    scale = (target / size).astype(np.float32)
    if (target != size).any():
        smaller = cv2.resize(region, (int(target[0]), int(target[1])), interpolation=cv2.INTER_AREA)
        region = np.asarray(smaller, np.uint8)
    origin = np.array([left, top], np.float32)
    joints = person.joints.copy()
    # pixel centres are whole numbers: the corner of the picture is at -0.5
    joints[:, :2] = (joints[:, :2] - origin + 0.5) * scale - 0.5
    box = ((person.box.reshape(2, 2) - origin + 0.5) * scale - 0.5).reshape(4)
    return np.ascontiguousarray(region, np.uint8), box.astype(np.float32), joints


@dataclass(frozen=True, eq=False)
class PeopleSet:
    """Several caches from which people are drawn in given proportions.

    `weights` are the caches' shares.
    """

    caches: tuple[CropCache, ...]
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return sum(len(cache) for cache in self.caches)

    def draw(self, rng: np.random.Generator, count: int) -> Iterator[tuple[CropCache, int]]:
        """`count` people: a cache by its weight, then one of its people evenly."""
        shares = np.array(self.weights) / sum(self.weights)
        for which in rng.choice(len(self.caches), count, p=shares):
            cache = self.caches[which]
            yield cache, int(rng.integers(len(cache)))
