"""People as the network shall see them in training: crops, strayed from, with their heatmaps."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posetrack.errors import FormatError, InputError, OutputError
from posetrack.pose.crop import PADDING
from posetrack.skeleton import COCO17
from posetrack.train.augment import Augmentation, choose_view, disturb, view_matrix
from posetrack.train.data import (
    CropCache,
    LabelledPerson,
    PeopleSet,
    Shard,
    fill_from_machine,
    machine_joints,
    machine_people,
    people_of,
)  # fmt: skip
from posetrack.train.targets import heatmaps, sigma_for, to_heatmap
from posetrack.types import Floats, Image

__all__ = ["Batch", "look", "make_batch", "open_people", "preview"]

TALLEST = 220
"""Pixels to which a person's box is shrunk in the cache: an input 256 pixels high shows a little less."""


@dataclass(frozen=True, eq=False)
class Batch:
    """`images` (N, H, W, 3) uint8 RGB, `target` (N, J, h, w), `weight` (N, J); `soft` is what a teacher sees."""

    images: Tensor
    target: Tensor
    weight: Tensor
    soft: Tensor | None = None


def open_people(
    shards: Sequence[tuple[Path, float]], machine: Path | None, aspect: float, cache: Path | None = None
) -> PeopleSet:
    """The people of `shards` (path, share of the draw), cut out; in the folder `cache` if one is given.

    A share of 0 stands for the number of its people. `machine` is a zip of machine-made joints, `joints/NAME.json`
    for the shard called NAME: they fill what people lack, or are all that a box has. `aspect` is width / height of
    the crops. FormatError for a shard in which nobody has joints.
    """
    caches, weights = [], []
    for path, share in shards:
        folder = cache / _cache_name(path, machine, aspect) if cache else None
        found = CropCache.load(folder) if folder and (folder / "labels.npz").exists() else None
        if found is None:
            shard = Shard(path)
            people = _labelled(shard, machine)
            if not people:
                raise FormatError(f"{path}: nobody in it has joints to learn from")
            found = CropCache.build(shard, people, TALLEST, aspect)
            if folder:
                found.save(folder)
                found = CropCache.load(folder)
        caches.append(found)
        weights.append(share if share > 0 else float(len(found)))
    return PeopleSet(tuple(caches), tuple(weights))


def _cache_name(path: Path, machine: Path | None, aspect: float) -> str:
    """A folder for what is cut out of `path`: another one when the data, its labels or the crops change."""
    for file in (path, *([machine] if machine else [])):
        if not file.exists():
            raise InputError(f"{file}: no such data")
    files = [path / "annotations.json" if path.is_dir() else path, *([machine] if machine else [])]
    told = [f"{TALLEST} {aspect:.4f}", *(f"{file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)]
    return f"{path.stem}-{hashlib.sha256(' '.join(told).encode()).hexdigest()[:10]}"


def _labelled(shard: Shard, machine: Path | None) -> list[LabelledPerson]:
    people = people_of(shard)
    member = f"joints/{shard.name}.json"
    if machine is None or member not in zipfile.ZipFile(machine).namelist():
        return people
    joints = machine_joints(machine, member)
    return fill_from_machine(people, joints) if people else machine_people(shard, joints)


def make_batch(
    rng: np.random.Generator, people: PeopleSet, count: int, size: tuple[int, int], stride: int, how: Augmentation
) -> Batch:
    """`count` people seen anew in crops of `size` (height, width), and targets on maps `stride` times coarser."""
    images = np.empty((count, *size, 3), np.uint8)
    joints = np.empty((count, len(COCO17), 3), np.float32)
    for i, (cache, which) in enumerate(people.draw(rng, count)):
        images[i], joints[i] = look(rng, cache, which, size, how)
    joints[..., :2] = to_heatmap(joints[..., :2], stride)
    shape = (size[0] // stride, size[1] // stride)
    target, weight = heatmaps(joints, shape, sigma_for(shape[0]))
    return Batch(torch.from_numpy(images), torch.from_numpy(target), torch.from_numpy(weight))


def look(
    rng: np.random.Generator, cache: CropCache, which: int, size: tuple[int, int], how: Augmentation
) -> tuple[Image, Floats]:
    """Person `which` of `cache` as the network shall see it (H, W, 3), and the joints (J, 3) in its pixels."""
    height, width = size
    joints = cache.joints[which].copy()
    view = choose_view(rng, cache.boxes[which], joints, width / height, PADDING, how)
    matrix = view_matrix(view, size)
    crop = cv2.warpAffine(cache.crop(which), matrix, (width, height), flags=cv2.INTER_LINEAR)
    joints[:, :2] = joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if view.flipped:
        joints = joints[list(COCO17.flip_order)]
    return disturb(rng, np.asarray(crop, np.uint8), how), joints


def preview(batch: Batch, path: Path) -> None:
    """Write a picture of `batch`: each crop with its joints, and its targets as a glow.

    Left joints are green, right ones yellow, joints that weigh less than a human's label red.
    """
    tiles = []
    for image, target, weight in zip(batch.images.numpy(), batch.target.numpy(), batch.weight.numpy(), strict=True):
        tiles.append(np.concatenate([_marked(image, target, weight), _glow(image, target, weight)], 1))
    across = max(1, round((len(tiles) * tiles[0].shape[0] / tiles[0].shape[1]) ** 0.5))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    rows = [np.concatenate(tiles[i : i + across], 1) for i in range(0, len(tiles), across)]
    if not cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)):
        raise OutputError(f"{path}: cannot be written; give a .png or .jpg in a folder that exists")


def _marked(image: Image, target: Floats, weight: Floats) -> NDArray[np.uint8]:
    marked = np.ascontiguousarray(image)
    stride = image.shape[0] // target.shape[1]
    for j in np.flatnonzero(weight):
        y, x = np.unravel_index(target[j].argmax(), target[j].shape)
        side = (255, 255, 0) if COCO17.joints[j].startswith("right") else (0, 255, 0)
        centre = (int((x + 0.5) * stride), int((y + 0.5) * stride))
        cv2.circle(marked, centre, 2, side if weight[j] == 1 else (255, 0, 0), -1)
    return marked


def _glow(image: Image, target: Floats, weight: Floats) -> NDArray[np.uint8]:
    heat = (target * (weight[:, None, None] > 0)).max(0)
    heat = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    dim = image.mean(2, keepdims=True) * 0.4
    return np.asarray((dim + np.array([255.0, 120.0, 0.0]) * heat[..., None]).clip(0, 255), np.uint8)
