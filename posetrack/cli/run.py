"""posetrack run: people, joints and identities of videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posetrack.cli.fetching import offer_download
from posetrack.cli.options import GroupedCommand, Place, grouped
from posetrack.errors import PosetrackError

if TYPE_CHECKING:
    from posetrack.pipeline import PipelineSettings
    from posetrack.workers.recipe import Recipe

__all__ = ["run"]

FLOW_NAMES = ("dis-fast", "dis-medium", "farneback", "tvl1", "none")
SIMILARITY_NAMES = ("bbox", "pose", "flow", "multi-flow")
"""Names of flow.FLOWS and matching.SIMILARITIES, written out so that help loads neither OpenCV nor numpy; a test
holds them together."""


@click.command(cls=GroupedCommand)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@grouped("Output", "-o", "--output", type=Place(), metavar="PATH|URL", show_default="beside the input",
         help="Folder for NAME.tracks.json (made if need be), or the .json file itself; or s3://, gs:// ...")
@grouped("Output", "--render", is_flag=True, help="Also write NAME.tracks.mp4, the video with the people drawn on it.")
@grouped("Output", "--show", is_flag=True,
         help="Open a page in the browser that shows the run as it goes; a camera or stream then goes frame by frame.")
@grouped("Output", "--no-browser", is_flag=True, help="With --show: only say the page's address.")
@grouped("Output", "--trails", type=click.FloatRange(0), default=0, metavar="SECONDS",
         help="Draw where people came from, so long back.")
@grouped("Output", "--resume", is_flag=True,
         help="Go on where an interrupted run stopped; leave finished results alone.")
@grouped("Output", "--overwrite", is_flag=True, help="Replace results that exist.")
@grouped("Output", "--status-json", type=click.Path(path_type=Path), metavar="FILE",
         help="Keep FILE up to date with how far the run is.")
@grouped("Output", "-q", "--quiet", is_flag=True, help="No progress and no summary, only errors and warnings.")
@grouped("Output", "-v", "--verbose", is_flag=True, help="Say what is loaded and which settings are in force.")
@grouped("Video", "--start", type=click.FloatRange(0), metavar="SECONDS", help="Begin here.")
@grouped("Video", "--end", type=click.FloatRange(0), metavar="SECONDS", help="Stop before here.")
@grouped("Video", "--stride", type=click.IntRange(1), default=1, help="Take each Nth frame only.")
@grouped("Networks", "--preset", type=click.Choice(["fast", "balanced", "accurate"]), default="fast",
         help="fast: the shipped networks; balanced, accurate: published ones (posetrack weights list).")
@grouped("Networks", "--detector", metavar="NAME|FILE", show_default="the preset's", help="The person detector.")
@grouped("Networks", "--pose", metavar="NAME|FILE", show_default="the preset's", help="The pose network.")
@grouped("Networks", "--weights-dir", type=click.Path(path_type=Path),
         show_default="POSETRACK_HOME/weights, or the platform's cache",
         help="Where fetched and imported networks lie.")
@grouped("Networks", "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@grouped("Networks", "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
         help="auto: fp16 on CUDA, bf16 on CPUs that have it, else fp32.")
@grouped("Networks", "--detector-score", type=click.FloatRange(0, 1), default=0.5, help="Detections below are dropped.")
@grouped("Networks", "--flip-test/--no-flip-test", default=None, show_default="the preset's",
         help="Average poses with those of the mirrored picture: better, and twice the work.")
@grouped("Networks", "--decode", type=click.Choice(["auto", "quarter", "dark"]), default="auto",
         help="How joints are read from heatmaps; auto takes what suits the weights.")
@grouped("Networks", "--threads", type=click.IntRange(1), show_default="one a core",
         help="Threads of the networks on the CPU.")
@grouped("In place of networks", "--poses", type=click.Path(path_type=Path), metavar="FILE",
         help="Track these poses (posetrack, COCO, PoseTrack JSON); without an INPUT by motion alone.")
@grouped("In place of networks", "--detections", type=click.Path(path_type=Path), metavar="FILE",
         help="Estimate poses in these boxes.")
@grouped("Tracking", "--detect-every", type=click.IntRange(1), default=1,
         help="Detect in each Nth frame, flow carries between.")
@grouped("Tracking", "--flow", type=click.Choice(FLOW_NAMES), default="dis-fast", help="Optical flow.")
@grouped("Tracking", "--propagation/--no-propagation", default=True,
         help="Whether flow gives boxes where the detector misses.")
@grouped("Tracking", "--similarity", type=click.Choice(SIMILARITY_NAMES), default="multi-flow",
         help="What identities are matched by (the paper's table 5).")
@grouped("Tracking", "--matching", type=click.Choice(["greedy", "hungarian"]), default="greedy", help="How.")
@grouped("Tracking", "--queue-length", type=click.IntRange(1), default=10,
         help="L_Q, the earlier frames that are remembered.")
@grouped("Tracking", "--cut", type=click.FloatRange(0), show_default="measured",
         help="Score from which on a frame begins a new scene.")
@grouped("Tracking", "--nms-iou", type=click.FloatRange(0, 1), default=0.6, help="Boxes that overlap more are one.")
@grouped("Tracking", "--oks-nms", type=click.FloatRange(0, 1), default=0.7, help="Poses more alike are one.")
@grouped("Tracking", "--flow-oks-nms", type=click.FloatRange(0, 1), default=0.4,
         help="Poses on flow boxes go where a detected one is more alike.")
@grouped("Tracking", "--joint-threshold", type=click.FloatRange(0, 1), default=0.2,
         help="Joints below count as unseen.")
@grouped("Tracking", "--person-threshold", type=click.FloatRange(0, 1), default=0.2, help="People below are dropped.")
@grouped("Tracking", "--similarity-threshold", type=click.FloatRange(0, 1), default=0.1,
         help="Pairs below are not matched.")
@grouped("Tracking", "--appearance/--no-appearance", default=True,
         help="Note how people look, for those who go away and come back.")
@grouped("Tracking", "--reidentify", type=click.FloatRange(0), default=0, metavar="SECONDS",
         help="Remember the absent so long; who returns gets the old id. New people are shown up to 0.5 s late.")
@grouped("Work", "--block", type=click.IntRange(1), default=16, help="Frames worked on together.")
@grouped("Work", "--workers", type=click.IntRange(1), metavar="N", show_default="1; with --ray what the cluster holds",
         help="Processes that share the work; more than one need Ray (the extra ray).")
@grouped("Work", "--ray", metavar="auto|ADDRESS", help="Let the workers of a running Ray cluster do it.")
@grouped("Work", "--cpus-per-worker", type=click.FloatRange(0, min_open=True), default=1, metavar="N",
         help="Cores, and threads, of a worker.")
@grouped("Work", "--gpus-per-worker", type=click.FloatRange(0), metavar="N",
         show_default="1 or a part, if there are any", help="GPUs of a worker, or a part of one.")
def run(inputs: tuple[str, ...], **options: Any) -> None:
    """Track the people of videos.

    INPUT is a video file, a folder or glob of videos or pictures (on this machine, or s3://, gs:// ... with the extra
    remote), a camera's number, or an rtsp/http address. Each gives NAME.tracks.json: who is in every frame, where the
    joints are, and who is who.
    """
    from posetrack.cli.fleet import run_all, wants_crew
    from posetrack.remote import Shelf
    from posetrack.runs import Job, plan
    from posetrack.stored import Span
    from posetrack.video import expand_inputs
    from posetrack.workers.driver import Order

    if not inputs and not options["poses"]:
        raise click.UsageError("give at least one INPUT, or --poses FILE")
    if options["poses"] and options["detections"]:
        raise click.UsageError("--poses and --detections exclude each other")
    if options["reidentify"] and not (inputs and options["appearance"]):
        raise click.UsageError("--reidentify goes by how people look: give an INPUT, and no --no-appearance")
    if options["show"] and wants_crew(options):
        raise click.UsageError("--show goes with one process: no --workers, no --ray")
    settings = _pipeline_settings(options)
    span = Span(options["start"], options["end"], options["stride"])
    sources = expand_inputs(inputs)
    if (options["poses"] or options["detections"]) and len(sources) > 1:
        raise click.UsageError("--poses and --detections go with one INPUT")
    output, shelf = options["output"], None
    if isinstance(output, Shelf):
        output, shelf = output.output, output
    jobs = plan(sources, output) if sources else [Job.of_poses(options["poses"], output)]
    order = Order(
        _recipe(options), settings, span, resume=options["resume"], overwrite=options["overwrite"],
        draw=options["render"], trails=options["trails"], threads=options["threads"],
    )  # fmt: skip
    failed = run_all(jobs, order, {**options, "output": output, "shelf": shelf})
    if failed:
        raise PosetrackError(f"{len(failed)} of {len(jobs)} inputs failed: {', '.join(job.source for job in failed)}")


def _pipeline_settings(options: dict[str, Any]) -> PipelineSettings:
    """The settings of pipeline and tracker that the options name."""
    from posetrack.flow import CUT_THRESHOLD
    from posetrack.pipeline import PipelineSettings
    from posetrack.tracker import TrackerSettings

    tracker = TrackerSettings(
        nms_iou=options["nms_iou"], oks_nms=options["oks_nms"], flow_oks_nms=options["flow_oks_nms"],
        joint_threshold=options["joint_threshold"],
        person_threshold=options["person_threshold"], propagation=options["propagation"],
        similarity=options["similarity"], similarity_threshold=options["similarity_threshold"],
        matching=options["matching"], queue_length=options["queue_length"],
        appearance=options["appearance"], reidentify=options["reidentify"],
    )  # fmt: skip
    cut = CUT_THRESHOLD if options["cut"] is None else options["cut"]
    return PipelineSettings(options["detect_every"], options["flow"], cut, options["block"], tracker)


def _recipe(options: dict[str, Any]) -> Recipe:
    """What sees the people: the networks, or the files given in their place."""
    from posetrack.results.posefile import read_detections, read_poses
    from posetrack.workers.recipe import Recipe

    if options["poses"]:
        return Recipe(poses=read_poses(options["poses"]))
    from posetrack.weights.presets import PRESETS

    preset = PRESETS[options["preset"]]
    pose, detector = options["pose"] or preset.pose, options["detector"] or preset.detector
    offer_download([pose] if options["detections"] else [detector, pose], options["weights_dir"])
    from posetrack.networks import NetworkSettings

    settings = NetworkSettings(
        detector=detector, pose=pose, weights_dir=options["weights_dir"],
        device=options["device"], precision=options["precision"], score=options["detector_score"],
        flip_test=preset.flip_test if options["flip_test"] is None else options["flip_test"], decode=options["decode"],
    )  # fmt: skip
    return Recipe(settings, read_detections(options["detections"]) if options["detections"] else None)
