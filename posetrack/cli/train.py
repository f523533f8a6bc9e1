"""posetrack train: the pose network and the detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from posetrack.cli.options import GroupedCommand, grouped

if TYPE_CHECKING:
    from posetrack.pose.network import PoseArchitecture
    from posetrack.train.detector import DetectorRecipe
    from posetrack.train.loop import LoopSettings
    from posetrack.train.pose import PoseRecipe

__all__ = ["train"]

F = TypeVar("F", bound=Callable[..., Any])
BODIES = ("mobilenet_v2", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def _share(value: str) -> tuple[Path, float]:
    """PATH or PATH=SHARE; 0 where no share is given."""
    path, mark, share = str(value).rpartition("=")
    if not mark:
        return Path(value), 0.0
    try:
        return Path(path), float(share)
    except ValueError:
        raise click.UsageError(f"'{value}': what follows '=' is a number, its share of the draw") from None


def _loop_options(rate: float, batch: int) -> Callable[[F], F]:
    """The options that pose and detector share: data, schedule, machine."""
    options = [
        click.argument("data", nargs=-1, required=True, type=_share, metavar="DATA..."),
        grouped("Output", "-o", "--output", type=click.Path(path_type=Path),
                help="Folder of the run: checkpoints, log.csv, curve.png, best.safetensors."),
        grouped("Output", "--resume", is_flag=True, help="Go on from last.pt in that folder, exactly."),
        grouped("Output", "--export", type=click.Path(path_type=Path),
                help="Also write the best network here, fp16 safetensors, when the run has ended."),
        grouped("Data", "--val", type=click.Path(path_type=Path), help="Validate on this; decides which is the best."),
        grouped("Data", "--training-data", default="", show_default=False, help="Metadata: what it learned from."),
        grouped("Data", "--licence", default="", show_default=False, help="Metadata: the licence."),
        grouped("Schedule", "--steps", type=click.IntRange(1), help="Batches to learn from."),
        grouped("Schedule", "--minutes", type=click.FloatRange(0, min_open=True),
                help="Instead of --steps: how long; the schedule goes by the clock."),
        grouped("Schedule", "--batch", type=click.IntRange(1), default=batch, help="Of all processes together."),
        grouped("Schedule", "--rate", type=click.FloatRange(0, min_open=True), default=rate, help="Learning rate."),
        grouped("Schedule", "--schedule", type=click.Choice(["cosine", "step"]), default="cosine",
                help="step: the paper's, a tenth at 90 and at 120 of 140."),
        grouped("Schedule", "--warmup", type=click.IntRange(0), default=200, help="Steps in which the rate rises."),
        grouped("Schedule", "--optimizer", type=click.Choice(["adamw", "adam"]), default="adamw", help="How it steps."),
        grouped("Schedule", "--weight-decay", type=click.FloatRange(0), default=0.02, help="AdamW's."),
        grouped("Schedule", "--clip", type=click.FloatRange(0), default=0.0, help="Largest gradient norm; 0: any."),
        grouped("Schedule", "--average", type=click.FloatRange(0, 1, max_open=True), default=0.999,
                help="Decay of the moving average, which is what is validated and exported."),
        grouped("Schedule", "--validate-every", type=click.IntRange(1), default=1000, help="Steps."),
        grouped("Schedule", "--seed", type=click.IntRange(0), default=0, help="Of every draw."),
        grouped("Machine", "--device", default="auto", help="auto, cpu, cuda or cuda:N (torchrun: cuda)."),
        grouped("Machine", "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
                help="auto: fp16 on CUDA, bf16 on CPUs that multiply it, else fp32."),
        grouped("Machine", "--loaders", type=click.IntRange(0), default=1, help="Threads that make batches ahead."),
        grouped("Machine", "--threads", type=click.IntRange(1), show_default="one a core",
                help="Threads of the network on the CPU."),
    ]  # fmt: skip

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group()
def train() -> None:
    """Train the pose network or the detector."""


@train.command(cls=GroupedCommand)
@_loop_options(rate=1.05e-3, batch=16)
@grouped("Data", "--machine-labels", type=click.Path(path_type=Path),
         help="Zip of joints/NAME.json with joints that another network made for the boxes or people of NAME.")
@grouped("Data", "--cache", type=click.Path(path_type=Path), help="Keep the people cut out in this folder.")
@grouped("Output", "--preview", type=click.Path(path_type=Path), help="Only write a picture of crops and targets here.")
@grouped("Network", "--body", type=click.Choice(BODIES), default="mobilenet_v2", help="Under the head.")
@grouped("Network", "--deconv-filters", default="128,96,64", help="Filters of the transposed convolutions.")
@grouped("Network", "--laterals/--no-laterals", default=True, help="Join MobileNetV2's finer maps to the head's.")
@grouped("Network", "--final-kernel", type=click.Choice(["1", "3"]), default=None,
         show_default="3 with mobilenet_v2, else the paper's 1", help="Of the last convolution.")
@grouped("Network", "--size", default="192x128", help="Height x width of the input.")
@grouped("Network", "--start", default="", show_default=False, metavar="FILE",
         help="Begin with what fits of these weights: a body, an ImageNet or another pose network.")
@grouped("Network", "--frozen", type=click.IntRange(0), default=4,
         help="First modules of MobileNetV2's body that stay as they are.")
@grouped("Network", "--body-rate", type=click.FloatRange(0), default=0.3, help="The body's share of the rate.")
@grouped("Loss", "--foreground", type=click.FloatRange(0), default=4.0,
         help="Weight of a joint's pixels over the others'; 0 is the paper's loss.")
@grouped("Loss", "--teacher", metavar="NAME|FILE", help="A pose network whose heatmaps are learned as well.")
@grouped("Loss", "--distill", type=click.FloatRange(0), default=1.0, help="Weight of the teacher's heatmaps.")
@grouped("Data", "--augment", type=click.FloatRange(0), default=1.0,
         help="How far crops are scaled, turned, coloured, hidden; 0: not at all, 1.4 for long runs.")
def pose(output: Path | None, data: tuple[tuple[Path, float], ...], **options: Any) -> None:
    """Train a pose network on DATA: zip shards, folders or COCO JSON files, each perhaps with =SHARE of the draw."""
    from posetrack.train.pose import export, network_of, train_pose

    _set_threads(options["threads"])
    recipe = _pose_recipe(options)
    if options["preview"]:
        _preview(options, data, recipe)
        return
    if output is None:
        raise click.UsageError("give -o, the folder of the run (or --preview)")
    teacher = None
    if options["teacher"]:
        from posetrack.weights.files import load_weights

        teacher = load_weights(options["teacher"], "pose")
    figures = train_pose(
        data, output, recipe, _loop_settings(options), truth=options["val"], machine=options["machine_labels"],
        cache=options["cache"], resume=options["resume"], teacher=teacher, say=_say,
    )  # fmt: skip
    if options["export"]:
        network, learned, best = network_of(output / ("best.pt" if options["val"] else "last.pt"))
        export(network, learned, options["export"], best)
    _report(figures)


@train.command(cls=GroupedCommand)
@_loop_options(rate=1e-3, batch=6)
@grouped("Data", "--machine-labels", type=click.Path(path_type=Path),
         help="Zip of boxes/NAME.json with people whom NAME.zip leaves out, found by another network.")
@grouped("Data", "--weight", "weights", multiple=True, type=_share, metavar="NAME=W",
         help="How much more often than others the pictures of a shard, or of a set in it, are drawn.")
@grouped("Output", "--preview", type=click.Path(path_type=Path), help="Only write a picture of scenes and boxes here.")
@grouped("Network", "--architecture", default="fasterrcnn_cspnet_pan",
         help="A light one (also fasterrcnn_mobilenet_v2_fpn), or one of torchvision's Faster R-CNNs.")
@grouped("Network", "--size", default="480x800", help="Short x long side of the light ones' input.")
@grouped("Data", "--scene-size", show_default="--size", help="What pictures are scaled to in training.")
@grouped("Network", "--start", default="", show_default=False, metavar="FILE",
         help="Begin with what fits of these weights: a detector, a body, a pose network.")
@grouped("Network", "--frozen", type=click.IntRange(0), default=4, help="First modules of MobileNetV2 that stay.")
@grouped("Network", "--body-rate", type=click.FloatRange(0), default=0.4, help="The body's share of the rate.")
@grouped("Loss", "--regions", type=click.IntRange(4), default=96, help="Proposals a picture that the box head sees.")
@grouped("Loss", "--mosaic", type=click.FloatRange(0, 1), default=0.4, help="Share of pictures made of four.")
def detector(output: Path | None, data: tuple[tuple[Path, float], ...], **options: Any) -> None:
    """Train a detector on DATA: zip shards, folders or COCO JSON files, each perhaps with =WEIGHT of its pictures."""
    from posetrack.train.detector import export as export_detector
    from posetrack.train.detector import network_of, preview, train_detector

    _set_threads(options["threads"])
    recipe = _detector_recipe(options)
    if options["preview"]:
        preview(data, recipe, options["preview"], machine=options["machine_labels"], seed=options["seed"])
        return
    if output is None:
        raise click.UsageError("give -o, the folder of the run (or --preview)")
    figures = train_detector(
        data, output, recipe, _loop_settings(options), truth=options["val"], machine=options["machine_labels"],
        resume=options["resume"], say=_say,
    )  # fmt: skip
    if options["export"]:
        learner, best = network_of(output / ("best.pt" if options["val"] else "last.pt"))
        export_detector(learner, recipe, options["export"], best)
    _report(figures)


def _detector_recipe(options: dict[str, Any]) -> DetectorRecipe:
    from posetrack.detector import CSP, LIGHT, DetectorArchitecture
    from posetrack.train.detector import SHIPPED, DetectorRecipe
    from posetrack.train.scenes import SceneSettings

    short, long = _numbers(options["size"], "x", "--size", 2)
    shown = _numbers(options["scene_size"] or options["size"], "x", "--scene-size", 2)
    name = options["architecture"]
    light = {CSP: SHIPPED, LIGHT: DetectorArchitecture()}
    try:
        if name in light:
            architecture = replace(light[name], min_size=short, max_size=long)
        else:
            architecture = DetectorArchitecture(name, classes=2)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return DetectorRecipe(
        architecture, SceneSettings(shown[0], shown[0], shown[1], mosaic=options["mosaic"]),
        options["batch"], options["start"],
        options["frozen"], options["body_rate"], options["regions"],
        {str(path): weight for path, weight in options["weights"]},
        options["training_data"], options["licence"], Path(options["start"]).name,
    )  # fmt: skip


def _pose_recipe(options: dict[str, Any]) -> PoseRecipe:
    from posetrack.train.augment import Augmentation
    from posetrack.train.pose import PoseRecipe

    light = options["body"] == "mobilenet_v2"
    height, width = _numbers(options["size"], "x", "--size", 2)
    constants: dict[str, Any] = {}
    if not light:
        # ImageNet's, which every published ResNet wants
        constants = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    try:
        recipe = PoseRecipe(
            _architecture(options), height, width, options["batch"], options["start"], options["frozen"],
            options["body_rate"] if light else 1.0, options["foreground"],
            options["distill"] if options["teacher"] else 0.0, Augmentation().times(options["augment"]),
            training_data=options["training_data"], licence=options["licence"],
            started_from=Path(options["start"]).name,
            **constants,
        )  # fmt: skip
        assert recipe.spec  # which checks the size
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return recipe


def _architecture(options: dict[str, Any]) -> PoseArchitecture:
    from posetrack.pose.network import PoseArchitecture

    filters = _numbers(options["deconv_filters"], ",", "--deconv-filters")
    light = options["body"] == "mobilenet_v2"
    final = int(options["final_kernel"] or (3 if light else 1))
    return PoseArchitecture(options["body"], 17, filters, (4,) * len(filters), options["laterals"] and light, final)


def _numbers(text: str, between: str, name: str, count: int | None = None) -> tuple[int, ...]:
    parts = text.split(between)
    if not all(part.isdigit() for part in parts) or len(parts) != (count or len(parts)):
        raise click.UsageError(f"{name} is like 192x128 or 128,96,64, not '{text}'")
    return tuple(int(part) for part in parts)


def _preview(options: dict[str, Any], data: tuple[tuple[Path, float], ...], recipe: PoseRecipe) -> None:
    import numpy as np

    from posetrack.train.crops import make_batch, open_people, preview

    size = (recipe.height, recipe.width)
    people = open_people(data, options["machine_labels"], recipe.width / recipe.height, options["cache"])
    rng = np.random.default_rng(options["seed"])
    preview(make_batch(rng, people, 32, size, recipe.architecture.stride, recipe.augmentation), options["preview"])


def _loop_settings(options: dict[str, Any]) -> LoopSettings:
    from posetrack.train.loop import LoopSettings

    if bool(options["steps"]) == bool(options["minutes"]):
        raise click.UsageError("give either --steps or --minutes")
    device = _device(options["device"])
    names = ("rate", "optimizer", "weight_decay", "warmup", "schedule", "clip", "average", "seed", "validate_every")
    return LoopSettings(
        steps=options["steps"] or 0, minutes=options["minutes"] or 0.0, device=device,
        precision=_precision(options["precision"], device), workers=options["loaders"],
        **{name: options[name] for name in names},
    )  # fmt: skip


def _device(name: str) -> str:
    import torch

    return name if name != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def _precision(name: str, device: str) -> str:
    import torch

    from posetrack.precision import working_dtype

    names = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
    return names[working_dtype(torch.device(device), name)]


def _set_threads(count: int | None) -> None:
    import torch

    if count:
        torch.set_num_threads(count)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _report(figures: dict[str, float]) -> None:
    click.echo("best: " + ("  ".join(f"{name} {value:.4g}" for name, value in figures.items()) or "not validated"))
