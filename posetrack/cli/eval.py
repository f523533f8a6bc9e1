"""posetrack eval: numbers that agree with the field's own tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posetrack.cli.options import GroupedCommand, grouped
from posetrack.cli.run import FLOW_NAMES
from posetrack.cli.scores import Output, show, write_report

if TYPE_CHECKING:
    from posetrack.evaluate.people import Pair
    from posetrack.evaluate.report import PoseSettings

__all__ = ["eval"]

_PATH: Any = click.Path(path_type=Path)


@click.group()
def eval() -> None:
    """Score results against the truth, or networks on labelled pictures.

    PRED and TRUTH are files, or folders whose files share names. Scores are percent, unless they are counts.
    """


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all of eval's commands share."""
    for option in (
        grouped("Output", "--csv", "csv_path", type=_PATH, metavar="FILE|-", help="Every number, a line each."),
        grouped("Output", "--json", "json_path", type=_PATH, metavar="FILE|-",
                help="All scores and settings; - is stdout, then there is no table."),
    ):  # fmt: skip
        command = option(command)
    return command


@eval.command(cls=GroupedCommand)
@click.argument("pred", type=_PATH)
@click.argument("truth", type=_PATH)
@_output
def coco(pred: Path, truth: Path, json_path: Path | None, csv_path: Path | None) -> None:
    """COCO's AP and AR of keypoints and boxes, by pycocotools.

    PRED is a list of COCO results, TRUTH a COCO file of labels.
    """
    from posetrack.evaluate.coco import score_coco_files
    from posetrack.evaluate.tables import coco_table

    report = score_coco_files(pred, truth)
    write_report(report, Output(json_path, csv_path))
    show(report, [coco_table(report)], json_path, csv_path)


@eval.command(cls=GroupedCommand)
@click.argument("pred", type=_PATH)
@click.argument("truth", type=_PATH)
@grouped(
    "Scores",
    "--protocol",
    type=click.Choice(["every-frame", "poseval"]),
    default="every-frame",
    help="every-frame counts all labelled frames; poseval repeats the official tool, which leaves out each last "
    "frame for MOTA and counts a frame without people as one miss and one false joint.",
)
@grouped(
    "Scores",
    "--joints",
    metavar="NAMES",
    show_default="all of the truth's",
    help="Score these only: names with commas, or body (the 12 limb joints that COCO and PoseTrack share).",
)
@grouped(
    "Scores",
    "--similarity",
    type=click.Choice(["oks", "pckh", "iou"]),
    default="oks",
    help="Of HOTA and IDF1 (pckh: share of joints within half a head).",
)
@grouped(
    "Scores",
    "--reference",
    default="head",
    type=click.Choice(["head", "head-segment", "torso", "box", "box-diagonal"]),
    help="The length that AP and MOTA measure in.",
)
@grouped(
    "Scores",
    "--near",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    help="How many of these lengths a joint may be off.",
)
@grouped(
    "Scores",
    "--ap-joint-threshold",
    type=click.FloatRange(0),
    default=0.0,
    help="Drop predicted joints under this score before AP.",
)
@grouped(
    "Scores",
    "--mota-joint-threshold",
    type=click.FloatRange(0),
    default=0.0,
    help="The same before MOTA, HOTA and IDF1 (the paper: 0.4).",
)
@grouped("Scores", "--sweep", is_flag=True, help="AP and MOTA at every joint threshold.")
@grouped(
    "Scores",
    "--missing",
    type=click.Choice(["refuse", "empty"]),
    default="refuse",
    help="Frames that PRED leaves out: an error, or frames with nobody (paired by image name).",
)
@_output
@grouped("Output", "--per-sequence", is_flag=True, help="Each sequence too.")
@grouped(
    "Output",
    "--plot",
    "plots",
    type=_PATH,
    metavar="DIR",
    help="Precision over recall, PCK, ids over time, the sweep (needs matplotlib).",
)
@grouped("Output", "--worst", type=click.IntRange(0), default=5, help="List so many of the worst frames.")
@grouped("Output", "--video", metavar="FILE|DIR", help="The video or its pictures: draw the worst frames.")
@grouped("Output", "--overlays", type=_PATH, metavar="DIR", default="overlays", help="Where they are drawn.")
def posetrack(pred: Path, truth: Path, **options: Any) -> None:
    """AP, MOTA, HOTA, IDF1, PCK and PCP of tracked poses.

    PRED and TRUTH are PoseTrack17 or 18 JSON, COCO JSON with track ids, or posetrack's own tracks.
    """
    from posetrack.evaluate.load import load_poses
    from posetrack.evaluate.report import PoseSettings

    settings = PoseSettings(
        options["protocol"], options["reference"], options["near"], options["similarity"],
        options["ap_joint_threshold"], options["mota_joint_threshold"],
    )  # fmt: skip
    loaded = load_poses(pred, truth, protocol=settings.protocol, fill_missing=options["missing"] == "empty")
    _report_poses(_restricted(loaded.pairs, options["joints"]), settings, loaded.notes, options)


def _restricted(pairs: list[Pair], joints: str | None) -> list[Pair]:
    from posetrack.evaluate.people import chosen_joints

    if joints is None:
        return pairs
    return [pair.joints(chosen_joints(pair.skeleton, joints)) for pair in pairs]


def _report_poses(pairs: list[Pair], settings: PoseSettings, notes: list[str], options: Mapping[str, Any]) -> None:
    from posetrack.evaluate.report import score_poses, with_references
    from posetrack.evaluate.tables import pose_tables, sweep_table, track_table
    from posetrack.evaluate.thresholds import best_thresholds, sweep
    from posetrack.evaluate.worst import worst_frames

    report = score_poses(pairs, settings)
    report["notes"] += notes
    if options["sweep"]:
        report["sweep"] = sweep(pairs, settings)
        report["best_thresholds"] = best_thresholds(report["sweep"])
        sets = ", ".join(f"{name} {step:.2f}" for name, step in report["best_thresholds"].items())
        report["notes"].append(f"best joint thresholds for exports: {sets}")
    worst = worst_frames(with_references(pairs, settings), options["worst"], settings.near)
    report["worst_frames"] = [vars(bad) | {"errors": bad.errors} for bad in worst]
    tables = pose_tables(report) + ([sweep_table(report["sweep"])] if options["sweep"] else [])
    if options["per_sequence"]:
        report["per_sequence"] = [{"name": pair.name, **score_poses([pair], settings)} for pair in pairs]
        if "hota" in report:
            tables.append(track_table([(r["name"], {**r, **r["clear"]}) for r in report["per_sequence"]]))
    if options["video"]:
        for entry, path in zip(report["worst_frames"], _draw(pairs, worst, options), strict=True):
            entry["overlay"] = path and str(path)
    if options["plots"]:
        _plot(pairs, settings, report, options["plots"])
    write_report(report, Output(options["json_path"], options["csv_path"]))
    show(report, tables, options["json_path"], options["csv_path"])


def _draw(pairs: list[Pair], worst: list[Any], options: Mapping[str, Any]) -> list[Path | None]:
    """Draw the worst frames; the picture of each, None for a frame that the video doesn't have."""
    from posetrack.evaluate.overlays import save_overlays

    if len(pairs) > 1:
        raise click.UsageError("--video goes with one sequence; name one file of PRED and TRUTH")
    drawn = save_overlays(pairs[0], worst, options["video"], options["overlays"])
    for path in drawn.values():
        click.echo(f"drawn: {path}", err=True)
    return [drawn.get(bad.frame) for bad in worst]


def _plot(pairs: list[Pair], settings: PoseSettings, report: Mapping[str, Any], folder: Path) -> None:
    from posetrack.evaluate import plots
    from posetrack.evaluate.report import drop_joints, with_references

    folder.mkdir(parents=True, exist_ok=True)
    measured = with_references(pairs, settings)
    plots.plot_precision_recall(measured, settings.near, folder / "precision_recall.png")
    plots.plot_pck(report, folder / "pck.png")
    if "sweep" in report:
        plots.plot_sweep(report["sweep"], folder / "sweep.png")
    if "hota" in report:
        for pair in pairs:
            kept = drop_joints(pair, settings.mota_joint_threshold)
            plots.plot_identities(kept, folder / f"ids_{pair.name}.png")


@eval.command(cls=GroupedCommand)
@click.argument("pred", type=_PATH)
@click.argument("truth", type=_PATH)
@grouped(
    "Scores",
    "--protocol",
    type=click.Choice(["trackeval", "motmetrics"]),
    default="trackeval",
    help="Whose CLEAR: they differ in crowds, fragments and mostly tracked.",
)
@_output
@grouped("Output", "--per-sequence", is_flag=True, help="Each sequence too.")
@grouped("Output", "--plot", "plots", type=_PATH, metavar="DIR", help="Ids over time (needs matplotlib).")
def mot(
    pred: Path, truth: Path, protocol: Any, json_path: Path | None, csv_path: Path | None, per_sequence: bool,
    plots: Path | None,
) -> None:  # fmt: skip
    """HOTA, IDF1 and CLEAR of tracked boxes by IoU.

    PRED and TRUTH are MOTChallenge text (SEQUENCE/gt/gt.txt, SEQUENCE.txt), PRED also posetrack's own tracks.
    """
    from posetrack.evaluate.boxes import load_boxes
    from posetrack.evaluate.report import score_boxes
    from posetrack.evaluate.tables import track_table

    loaded = load_boxes(pred, truth)
    report = score_boxes(loaded.pairs, protocol)
    report["notes"] += loaded.notes
    rows: list[tuple[str, Mapping[str, Any]]] = [("all", report)]
    if per_sequence:
        report["per_sequence"] = [{"name": p.name, **score_boxes([p], protocol)} for p in loaded.pairs]
        rows = [(r["name"], r) for r in report["per_sequence"]] + rows
    if plots:
        from posetrack.evaluate.plots import plot_identities

        plots.mkdir(parents=True, exist_ok=True)
        for pair in loaded.pairs:
            plot_identities(pair, plots / f"ids_{pair.name}.png")
    write_report(report, Output(json_path, csv_path))
    show(report, [track_table(rows)], json_path, csv_path)


@eval.command(cls=GroupedCommand)
@click.argument("folder", type=_PATH, metavar="DIR")
@grouped("Networks", "--detector", "detectors", multiple=True, default=("detector",), metavar="NAME|FILE",
         help="A person detector; give several to compare.")
@grouped("Networks", "--pose", "poses", multiple=True, default=("pose",), metavar="NAME|FILE",
         help="A pose network; give several to compare.")
@grouped("Networks", "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@grouped("Networks", "--flow", type=click.Choice(FLOW_NAMES), default="dis-fast", help="Optical flow.")
@grouped("Scores", "--protocol", type=click.Choice(["every-frame", "poseval"]), default="every-frame",
         help="As for posetrack eval posetrack.")
@grouped("Scores", "--joints", metavar="NAMES", show_default="all of the truth's", help="Score these only, or body.")
@grouped("Scores", "--ap-joint-threshold", type=click.FloatRange(0), default=0.0,
         help="Drop predicted joints under this score before AP.")
@grouped("Scores", "--mota-joint-threshold", type=click.FloatRange(0), default=0.4,
         help="The same before MOTA, HOTA and IDF1 (0.4: the paper's).")
@_output
def ablation(folder: Path, json_path: Path | None, csv_path: Path | None, **options: Any) -> None:
    """The paper's table 5 on your clips: propagation, similarity, matching, L_Q, thresholds, and upper bounds.

    DIR, or each folder in it, holds the truth (PoseTrack JSON) beside frames/ or a video of its name. Detection, poses
    and flow are made once a clip and serve every row.
    """
    from posetrack.evaluate.ablation import ablation_table, paper_variants
    from posetrack.evaluate.report import PoseSettings
    from posetrack.variants import find_clips, score_variants

    clips = find_clips(folder)
    sights = _networks(options["detectors"], options["poses"], options["device"])
    variants = paper_variants(list(sights), options["flow"])
    settings = PoseSettings(
        protocol=options["protocol"], ap_joint_threshold=options["ap_joint_threshold"],
        mota_joint_threshold=options["mota_joint_threshold"],
    )  # fmt: skip
    scores = score_variants(clips, sights, variants, settings, options["joints"])
    report = {
        "kind": "ablation", "settings": vars(settings) | {"joints": options["joints"]},
        "clips": [clip.name for clip in clips], "rows": scores,
        "notes": [f"{len(variants)} variants over {len(clips)} clips: detection, poses and flow made once for all"],
    }  # fmt: skip
    write_report(report, Output(json_path, csv_path))
    show(report, [ablation_table(variants, scores)], json_path, csv_path)


def _networks(detectors: tuple[str, ...], poses: tuple[str, ...], device: str) -> dict[str, Any]:
    """Every detector with every pose network, by a label."""
    from posetrack.networks import NetworkSettings, load_networks

    return {
        f"{Path(pose).stem} + {Path(detector).stem}": load_networks(NetworkSettings(detector, pose, device))[0]
        for pose in poses
        for detector in detectors
    }


@eval.command(cls=GroupedCommand)
@click.argument("name", metavar="NAME|FILE")
@grouped("Scores", "--data", required=True, type=_PATH, metavar="DIR|ZIP", show_default=False,
         help="Labelled pictures: annotations.json (COCO) and images/.")
@grouped("Scores", "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@grouped("Scores", "--flip-test/--no-flip-test", default=True, help="Average poses with those of the mirrored picture.")
@_output
def weights(
    name: str, data: Path, device: str, flip_test: bool, json_path: Path | None, csv_path: Path | None
) -> None:
    """Score a pose network (true boxes, OKS AP) or a detector (box AP) on labelled pictures."""
    report = {"kind": "weights", "weights": name, "data": data.name, **_score_network(name, data, device, flip_test)}
    from posetrack.evaluate.tables import scores_table

    write_report(report, Output(json_path, csv_path))
    show(report, [scores_table(name, report["scores"])], json_path, csv_path)


def _score_network(name: str, data: Path, device: str, flip_test: bool) -> dict[str, Any]:
    """The scores of either kind of network, in percent, and how they were made."""
    from posetrack.networks import find_device
    from posetrack.train.data import Shard
    from posetrack.weights import load_weights
    from posetrack.weights.files import build_network

    weights, shard = load_weights(name), Shard(data)
    network: Any = build_network(weights)
    if weights.kind == "pose":
        from posetrack.pose.estimator import PoseEstimator
        from posetrack.pose.spec import PoseSpec
        from posetrack.train.score import score_pose

        spec = PoseSpec.from_metadata(weights.metadata, str(weights.path))
        scores = score_pose(PoseEstimator(network, spec, find_device(device), flip_test=flip_test), shard)
        how = f"OKS AP in true boxes, {'with' if flip_test else 'without'} flip test"
    else:
        from posetrack.detector import Detector
        from posetrack.train.score_detector import score_detector

        scores = score_detector(Detector(network, find_device(device), threshold=0.01), shard)
        how = "box AP of people; detections from 0.01"
    percent = {key: value if key == "ms_per_item" else 100 * value for key, value in scores.items()}
    return {"scores": percent, "notes": [f"{data.name}: {len(shard.images)} pictures; {how}"]}
