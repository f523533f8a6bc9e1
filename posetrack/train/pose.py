"""Learning poses: people cut out, strayed from, and compared with Gaussians at their joints.

train_pose([(Path("coco.zip"), 1.0)], Path("runs/pose"), PoseRecipe(), LoopSettings(minutes=60), truth=Path("val.zip"))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from posetrack.errors import WeightsError
from posetrack.pose.network import PoseArchitecture, PoseMobileNet, PoseResNet, build_pose_network
from posetrack.pose.spec import PoseInput, PoseSpec
from posetrack.skeleton import COCO17
from posetrack.train.augment import Augmentation
from posetrack.train.crops import Batch, make_batch, open_people
from posetrack.train.data import PeopleSet, Shard
from posetrack.train.frozen import fuse_norms
from posetrack.train.loop import LoopSettings, read_checkpoint, run_loop
from posetrack.train.start import start_from
from posetrack.train.targets import joints_mse
from posetrack.train.validation import Validation
from posetrack.weights.files import Weights, build_network, save_weights

__all__ = ["LIGHT", "PoseLearner", "PoseRecipe", "PoseTask", "Teacher", "network_of", "train_pose"]

LIGHT = PoseArchitecture("mobilenet_v2", len(COCO17), (128, 96, 64), laterals=True, final_kernel=3)
"""The network that ships."""

HEAD = ("deconv_layers", "final_layer", "laterals")
"""How the names of the head's parameters begin; all others are the body's."""


@dataclass(frozen=True)
class PoseRecipe:
    """What is learned and from what, apart from the schedule.

    `start` is a weights file, whose batch norms then stay; `frozen` counts the first modules of a MobileNetV2 body
    that stay as well. `body_factor` multiplies the learning rate of the rest of the body. `foreground` weighs a
    joint's pixels over the others' (see `joints_mse`), `distill` a teacher's heatmaps. `mean` and `std` are of RGB in
    0..255; `training_data`, `licence` and `started_from` are told in the weights' metadata.
    """

    architecture: PoseArchitecture = LIGHT
    height: int = 192
    width: int = 128
    batch: int = 16
    start: str = ""
    frozen: int = 4
    body_factor: float = 0.3
    foreground: float = 4.0
    distill: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    training_data: str = ""
    licence: str = ""
    started_from: str = ""

    @property
    def spec(self) -> PoseSpec:
        """The recipe's network as its weights file describes it."""
        wanted = PoseInput(self.height, self.width, "RGB", self.mean, self.std, unbiased=True)
        return PoseSpec(self.architecture, wanted, COCO17)

    def to_json(self) -> str:
        """The recipe as text, for checkpoints."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PoseRecipe:
        """The recipe that `to_json` wrote."""
        values = _with_tuples(json.loads(text))
        values["architecture"] = PoseArchitecture(**_with_tuples(values["architecture"]))
        values["augmentation"] = Augmentation(**values["augmentation"])
        return cls(**values)


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


class PoseLearner(nn.Module):
    """The network with its loss: what DistributedDataParallel wraps."""

    def __init__(self, network: PoseResNet | PoseMobileNet, recipe: PoseRecipe) -> None:
        super().__init__()
        self.pose = network
        self.recipe = recipe
        self.register_buffer("mean", torch.tensor(recipe.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(1, 3, 1, 1), persistent=False)

    def heatmaps(self, images: Tensor) -> Tensor:
        """Heatmaps (N, J, h, w) of crops (N, H, W, 3) uint8."""
        planes = (images.permute(0, 3, 1, 2).float() - cast(Tensor, self.mean)) / cast(Tensor, self.std)
        return cast(Tensor, self.pose(planes)).float()

    def forward(self, batch: Batch) -> Tensor:
        """The batch's loss."""
        output, recipe = self.heatmaps(batch.images), self.recipe
        loss = joints_mse(output, batch.target, batch.weight, recipe.foreground)
        if batch.soft is not None:
            everywhere = torch.ones_like(batch.weight)
            loss = loss + recipe.distill * joints_mse(output, batch.soft, everywhere, recipe.foreground)
        return loss

    def train(self, mode: bool = True) -> PoseLearner:
        """Training mode, but for the norms of a body that was learned elsewhere: small batches would spoil them."""
        super().train(mode)
        if self.recipe.start:
            for name, module in self.pose.named_modules():
                if isinstance(module, nn.BatchNorm2d) and not name.startswith(HEAD):
                    module.eval()
        return self


class Teacher:
    """A pose network whose heatmaps are soft targets; it sees the student's crops.

    WeightsError when it speaks of other joints or sees crops of another aspect than `recipe`.
    """

    def __init__(self, weights: Weights, recipe: PoseRecipe) -> None:
        self.spec = PoseSpec.from_metadata(weights.metadata, str(weights.path))
        wants = self.spec.input
        if self.spec.skeleton != COCO17 or wants.height * recipe.width != wants.width * recipe.height:
            raise WeightsError(f"{weights.path}: a teacher gives coco17 joints and has the student's aspect")
        self.network = build_network(weights).requires_grad_(False)
        self.shape = (recipe.height // recipe.architecture.stride, recipe.width // recipe.architecture.stride)

    @torch.no_grad()
    def heatmaps(self, images: Tensor) -> Tensor:
        """Heatmaps (N, J, h, w), in the student's size and convention, of crops (N, H, W, 3) uint8."""
        wants, device = self.spec.input, images.device
        planes = images.permute(0, 3, 1, 2).float()
        if wants.colour_order == "BGR":
            planes = planes.flip(1)
        planes = functional.interpolate(planes, (wants.height, wants.width), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (wants.mean, wants.std))
        maps: Tensor = self.network.to(device)((planes - mean) / std).float()
        if not wants.unbiased:
            # input pixel x lies at x / 4 on its map, at (x + 0.5) / 4 - 0.5 on ours: 0.375 less
            maps = torch.lerp(maps, maps.roll(-1, 3), 0.375)
            maps = torch.lerp(maps, maps.roll(-1, 2), 0.375)
        return functional.interpolate(maps, self.shape, mode="bilinear", antialias=True)


class PoseTask:
    """The pose network as the loop sees it: batches of `people`, figures on `truth`."""

    def __init__(
        self, recipe: PoseRecipe, people: PeopleSet, truth: Shard | None = None, *,
        seed: int = 0, precision: str = "fp32", teacher: Teacher | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.people, self.seed, self.precision, self.teacher = recipe, people, seed, precision, teacher
        torch.manual_seed(seed)
        pose = build_pose_network(recipe.architecture)
        if recipe.start:
            start_from(pose, Path(recipe.start))
        if recipe.start and isinstance(pose, PoseMobileNet):
            fuse_norms(pose.body)
            for module in list(pose.body)[: recipe.frozen]:
                module.requires_grad_(False)
        self.learner = PoseLearner(pose, recipe).to(memory_format=torch.channels_last)
        self.network: nn.Module = self.learner
        self.validation = (
            Validation.cut(truth, recipe.height, recipe.width, recipe.architecture.stride) if truth else None
        )

    def groups(self) -> list[dict[str, Any]]:
        """Body and head, the body at its own rate; biases and norms do not decay."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.learner.pose.named_parameters():
            if parameter.requires_grad:
                body = not name.startswith(HEAD)
                groups.setdefault((body, parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters, "factor": self.recipe.body_factor if body else 1.0,
                **({} if decays else {"weight_decay": 0.0}),
            }
            for (body, decays), parameters in groups.items()
        ]  # fmt: skip

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """Batch number `step` of process `rank`: `recipe.batch` people for all processes together."""
        recipe, rng = self.recipe, np.random.default_rng((self.seed, step, rank))
        size, count = (recipe.height, recipe.width), max(1, recipe.batch // world)
        return make_batch(rng, self.people, count, size, recipe.architecture.stride, recipe.augmentation)

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """`batch` on `device`, with the teacher's heatmaps if there is one."""
        parts = (part.to(device, non_blocking=True) for part in (batch.images, batch.target, batch.weight))
        moved = Batch(*parts)
        return replace(moved, soft=self.teacher.heatmaps(moved.images)) if self.teacher else moved

    def validate(self, network: nn.Module) -> dict[str, float]:
        """OKS AP with true boxes and flip test, and the loss; `score` is the AP, and 0 without truth."""
        if self.validation is None:
            return {"score": 0.0}
        learner = cast(PoseLearner, network).eval()
        device = next(learner.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision != "fp32"):
            figures = self.validation.figures(lambda images: learner.heatmaps(images.to(device)).cpu())
        return {**figures, "score": figures["ap"]}

    def describe(self) -> dict[str, Any]:
        """The recipe, from which `network_of` builds the network again."""
        return {"kind": "pose", "recipe": self.recipe.to_json()}

    def export(self, network: nn.Module, path: Path, figures: Mapping[str, float]) -> None:
        """Write fp16 safetensors with all that is known of the network."""
        export(cast(PoseLearner, network).pose, self.recipe, path, figures)


def export(network: nn.Module, recipe: PoseRecipe, path: Path, figures: Mapping[str, float]) -> None:
    """Write the pose `network` as fp16 safetensors with its spec, provenance, recipe and scores in the metadata."""
    told = {
        "training_data": recipe.training_data, "licence": recipe.licence, "started_from": recipe.started_from,
        "scores": json.dumps({key: round(value, 4) for key, value in figures.items()}), "recipe": recipe.to_json(),
    }  # fmt: skip
    save_weights(path, network.state_dict(), recipe.spec.to_metadata() | told)


def network_of(checkpoint: Path, average: bool = True) -> tuple[nn.Module, PoseRecipe, dict[str, float]]:
    """The pose network that a checkpoint of `train pose` holds, its recipe, and its best figures.

    The network is the moving average unless `average` is false, in eval mode. WeightsError for another checkpoint.
    """
    state = read_checkpoint(checkpoint)
    if state["task"].get("kind") != "pose":
        raise WeightsError(f"{checkpoint}: holds a {state['task'].get('kind')}, not a pose network")
    recipe = PoseRecipe.from_json(state["task"]["recipe"])
    learner = PoseLearner(build_pose_network(recipe.architecture), recipe)
    learner.load_state_dict(state["average" if average else "network"])
    return learner.pose.eval(), recipe, state["best"]


def train_pose(
    shards: Sequence[tuple[Path, float]], out: Path, recipe: PoseRecipe, settings: LoopSettings, *,
    truth: Path | None = None, machine: Path | None = None, cache: Path | None = None, resume: bool = False,
    teacher: Weights | None = None, say: Callable[[str], None] = print,
) -> dict[str, float]:  # fmt: skip
    """Train a pose network on `shards` (path, share) into the folder `out`; the best figures on `truth`.

    See `open_people` for `machine` and `cache`, `run_loop` for what appears in `out` and for `resume`.
    """
    people = open_people(shards, machine, recipe.width / recipe.height, cache)
    task = PoseTask(
        recipe, people, Shard(truth) if truth else None, seed=settings.seed, precision=settings.precision,
        teacher=Teacher(teacher, recipe) if teacher else None,
    )  # fmt: skip
    return run_loop(task, settings, out, resume=resume, say=say)
