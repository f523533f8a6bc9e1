"""Learning to find people: scenes, Faster R-CNN's losses, figures by the detector as users run it.

train_detector([(Path("boxes.zip"), 1.0)], Path("runs/detector"), DetectorRecipe(), LoopSettings(minutes=60))
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from posetrack.detector import CSP, Detector, DetectorArchitecture, build_detector
from posetrack.errors import OutputError, WeightsError
from posetrack.train.data import Shard
from posetrack.train.detector_network import LearningDetector
from posetrack.train.loop import LoopSettings, read_checkpoint, run_loop
from posetrack.train.scenes import Picture, SceneSet, SceneSettings, compose, machine_boxes, pictures_of
from posetrack.train.score_detector import score_detector
from posetrack.weights.checkpoints import open_checkpoint
from posetrack.weights.files import save_weights

__all__ = [
    "SHIPPED",
    "DetectorRecipe",
    "DetectorTask",
    "export",
    "network_of",
    "open_pictures",
    "preview",
    "train_detector",
]

SHIPPED = DetectorArchitecture(CSP, min_size=480, max_size=800, pyramid=128, canonical=112)
"""The network that ships."""


@dataclass(frozen=True)
class DetectorRecipe:
    """What is learned and from what, apart from the schedule.

    `start` is a weights file of a whole detector or of a body. `frozen` counts the first modules of a MobileNetV2 body
    that stay as they are, `old_factor` multiplies the learning rate of the rest of the body. `regions` are learned
    from in each of `batch` pictures. `weights` say how much more often than others the pictures of a shard, or of a
    set in it, are drawn. `training_data`, `licence` and `started_from`
    are told in the weights' metadata.
    """

    architecture: DetectorArchitecture = SHIPPED
    scenes: SceneSettings = field(default_factory=lambda: SceneSettings(416, 416, 704))
    batch: int = 6
    start: str = ""
    frozen: int = 4
    old_factor: float = 0.4
    regions: int = 96
    weights: Mapping[str, float] = field(default_factory=dict)
    training_data: str = ""
    licence: str = ""
    started_from: str = ""

    def to_json(self) -> str:
        """The recipe as text, for checkpoints."""
        return json.dumps({**asdict(self), "architecture": self.architecture.to_json()})


def open_pictures(
    shards: Sequence[tuple[Path, float]], machine: Path | None, weights: Mapping[str, float]
) -> list[Picture]:
    """The pictures of `shards` (path, weight of each picture), `weights` by set or shard going before.

    `machine` is a zip whose `boxes/NAME.json` holds the people whom shard NAME leaves out, where it has one.
    """
    members = set(zipfile.ZipFile(machine).namelist()) if machine else set()
    pictures: list[Picture] = []
    for path, weight in shards:
        shard = Shard(path)
        member = f"boxes/{shard.name}.json"
        others = machine_boxes(machine, member) if machine and member in members else None
        found = pictures_of(shard, weights, others)
        pictures += [replace(picture, weight=picture.weight * (weight or 1.0)) for picture in found]
    return pictures


class DetectorTask:
    """The detector as the loop sees it: batches of scenes, figures by `judge` on the detector as users run it."""

    def __init__(
        self,
        recipe: DetectorRecipe,
        scenes: SceneSet,
        judge: Callable[[Detector], dict[str, float]] | None = None,
        seed: int = 0,
    ) -> None:
        self.recipe, self.scenes, self.judge, self.seed = recipe, scenes, judge, seed
        torch.manual_seed(seed)
        self.learner = LearningDetector(recipe.architecture, recipe.frozen, recipe.regions)
        fitted = self.learner.start_from(_read(Path(recipe.start)) if recipe.start else {})
        if recipe.start and not fitted:
            raise WeightsError(f"{recipe.start}: nothing in it fits {recipe.architecture.name}; is it of another body?")
        self.network: nn.Module = self.learner

    def groups(self) -> list[dict[str, Any]]:
        """The body, at its own rate, and the rest."""
        body = {id(p) for p in self.learner.network.backbone.body.parameters()}
        learning = [p for p in self.learner.parameters() if p.requires_grad]
        return [
            {"params": [p for p in learning if id(p) in body], "factor": self.recipe.old_factor},
            {"params": [p for p in learning if id(p) not in body]},
        ]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Batch number `step` of process `rank`: images (N, H, W, 3) uint8, people's boxes and ignored ones of each."""
        rng = np.random.default_rng((self.seed, step, rank))
        settings, drawn = self.recipe.scenes, []
        for _ in range(max(1, self.recipe.batch // world)):
            count = 4 if rng.random() < settings.mosaic else 1
            drawn.append(compose([self.scenes.draw(rng) for _ in range(count)], settings, rng))
        return (
            torch.from_numpy(np.stack([scene.image for scene in drawn])),
            [torch.from_numpy(scene.people) for scene in drawn],
            [torch.from_numpy(scene.ignored) for scene in drawn],
        )

    def to_device(self, batch: Any, device: torch.device) -> Any:
        """`batch` on `device`."""
        images, people, ignored = batch
        return images.to(device), [b.to(device) for b in people], [b.to(device) for b in ignored]

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The judge's figures; `score` is the mean of AP50 and of the recall at one false box an image."""
        if self.judge is None:
            return {"score": 0.0}
        figures = self.judge(_as_used(cast(LearningDetector, network)))
        return {**figures, "score": (figures["ap50"] + figures["recall_at_1_fppi"]) / 2}

    def describe(self) -> dict[str, Any]:
        """The recipe."""
        return {"kind": "detector", "recipe": self.recipe.to_json()}

    def export(self, network: nn.Module, path: Path, figures: Mapping[str, float]) -> None:
        """Write fp16 safetensors with all that is known of the network."""
        export(cast(LearningDetector, network), self.recipe, path, figures)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise WeightsError(f"{path}: no such weights to start from")
    return load_file(path) if path.suffix == ".safetensors" else open_checkpoint(path)


def _as_used(learner: LearningDetector) -> Detector:
    """The detector that an exported file would give."""
    network = build_detector(learner.architecture)
    network.load_state_dict({key: value.half().float() for key, value in learner.plain_state().items()})
    return Detector(network, threshold=0.01)


def export(learner: LearningDetector, recipe: DetectorRecipe, path: Path, figures: Mapping[str, float]) -> None:
    """Write the detector as fp16 safetensors with its architecture, provenance, recipe and scores in the metadata."""
    transform = learner.network.transform
    wants = {
        "min_size": transform.min_size[-1], "max_size": transform.max_size, "colour_order": "RGB",
        "mean": [255 * v for v in transform.image_mean], "std": [255 * v for v in transform.image_std],
    }  # fmt: skip
    told = {
        "kind": "detector", "architecture": json.dumps(recipe.architecture.to_json()), "input": json.dumps(wants),
        "training_data": recipe.training_data, "licence": recipe.licence, "started_from": recipe.started_from,
        "scores": json.dumps({key: round(value, 4) for key, value in figures.items()}),
        "recipe": replace(recipe, start=Path(recipe.start).name).to_json(),
    }  # fmt: skip
    save_weights(path, learner.plain_state(), told)


def network_of(checkpoint: Path, average: bool = True) -> tuple[LearningDetector, dict[str, float]]:
    """The detector in a checkpoint of `train detector` (its moving average, unless told), and its best figures.

    WeightsError for another checkpoint.
    """
    state = read_checkpoint(checkpoint)
    if state["task"].get("kind") != "detector":
        raise WeightsError(f"{checkpoint}: holds a {state['task'].get('kind')}, not a detector")
    recipe = json.loads(state["task"]["recipe"])
    architecture = DetectorArchitecture.from_json(recipe["architecture"])
    learner = LearningDetector(architecture, recipe["frozen"], recipe["regions"])
    learner.start_from({})
    learner.load_state_dict(state["average" if average else "network"])
    return learner.eval(), state["best"]


def train_detector(
    shards: Sequence[tuple[Path, float]], out: Path, recipe: DetectorRecipe, settings: LoopSettings, *,
    truth: Path | None = None, machine: Path | None = None, resume: bool = False, say: Callable[[str], None] = print,
) -> dict[str, float]:  # fmt: skip
    """Train a detector on `shards` (path, weight of each picture) into the folder `out`; the best figures on `truth`.

    See `open_pictures` for `machine`, `run_loop` for what appears in `out` and for `resume`.
    """
    scenes = SceneSet(open_pictures(shards, machine, recipe.weights))
    judge = None
    if truth:
        shard = Shard(truth)

        def judge(detector: Detector) -> dict[str, float]:
            return score_detector(detector, shard)

    task = DetectorTask(recipe, scenes, judge, settings.seed)
    return run_loop(task, settings, out, resume=resume, say=say)


def preview(
    shards: Sequence[tuple[Path, float]], recipe: DetectorRecipe, path: Path, *,
    machine: Path | None = None, seed: int = 0,
) -> None:  # fmt: skip
    """Write a picture of 24 scenes as training sees them: people's boxes green, ignored regions grey."""
    scenes, rng = SceneSet(open_pictures(shards, machine, recipe.weights)), np.random.default_rng(seed)
    shown = []
    for _ in range(24):
        count = 4 if rng.random() < recipe.scenes.mosaic else 1
        scene = compose([scenes.draw(rng) for _ in range(count)], recipe.scenes, rng)
        for boxes, colour in ((scene.ignored, (150, 150, 150)), (scene.people, (0, 255, 0))):
            for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
                cv2.rectangle(scene.image, (x1, y1), (x2 - 1, y2 - 1), colour, 2)
        shown.append(scene.image)
    rows = [np.concatenate(shown[i : i + 6], 1) for i in range(0, 24, 6)]
    if not cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1]):
        raise OutputError(f"{path}: cannot be written; give a .png in a folder that exists")
