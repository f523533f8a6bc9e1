"""One input to its result files: names, header, journal, going on after an interruption."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import posetrack
from posetrack.blocks import ahead
from posetrack.errors import FormatError, OutputError
from posetrack.pipeline import PipelineSettings, Sight, follow
from posetrack.remote import is_remote
from posetrack.render import Trails, annotate
from posetrack.results.native import Header, Journal, Resume, read_tracks, resume_point
from posetrack.skeleton import Skeleton
from posetrack.sources import VideoInfo
from posetrack.stored import BareFrames, Span, StoredPoses
from posetrack.tracker import PoseTracker
from posetrack.types import Frame, FrameResult
from posetrack.video import FrameIndex, VideoReader, VideoWriter, build_index, open_video

__all__ = [
    "JOINT_THRESHOLD", "Ended", "Job", "Outcome", "Report", "Screen", "Show", "Watch", "finished",
    "make_header", "plan", "render_tracks", "run_job", "versions",
]  # fmt: skip

JOINT_THRESHOLD = 0.2
"""Joints scoring less are not drawn."""

Report = Callable[[FrameResult], None]
"""Told of every frame as soon as it is done."""

Watch = Callable[[int | None], Report]
"""Told once about how many frames will come (None where nobody knows); gives the report."""




class Screen(Protocol):
    """Sees every frame of a run as it goes; see posetrack.review.live."""

    def taken(self, frame: Frame) -> None:
        """A frame has been taken from its source; told by the thread that reads."""
        ...

    def done(self, frame: Frame, result: FrameResult) -> None:
        """Its people are known."""
        ...


Show = Callable[[VideoInfo, Skeleton], Screen]
"""Told once what will be shown; gives the screen."""


@dataclass(frozen=True)
class Job:
    """One input and where its tracks go. `without_video`: the source is a file of poses, tracked by motion alone."""

    source: str
    output: Path
    without_video: bool = False

    @classmethod
    def of_poses(cls, poses: Path, output: Path | None) -> Job:
        """The job that tracks a file of poses without a video; its tracks are named as those of a video would be."""
        return cls(str(poses), _output(str(poses), output), without_video=True)

    @property
    def video(self) -> Path:
        """Where the annotated video goes: NAME.tracks.mp4, never the name of a source."""
        return self.output.with_name(self.output.name.removesuffix(".json").removesuffix(".tracks") + ".tracks.mp4")


@dataclass
class Outcome:
    """What came of a job: frames and tracks in the file, what the reader complained of; `skipped` when it was done."""

    frames: int = 0
    tracks: int = 0
    skipped: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """A job that is over: what came of it, or the error; seconds since it was begun."""

    job: Job
    outcome: Outcome | None
    error: Exception | None
    seconds: float


@contextmanager
def _open(
    job: Job, span: Span, sight: Sight, start_index: int = 0, index: FrameIndex | None = None
) -> Iterator[VideoReader | BareFrames]:
    if job.without_video:
        assert isinstance(sight, StoredPoses)
        yield BareFrames(sight.file, span, start_index)
    else:
        with open_video(job.source, span.start, span.end, span.stride, start_index, index=index) as reader:
            yield reader


def _index_for(job: Job, state: dict[str, Any]) -> FrameIndex | None:
    """The table by which a run can go on behind its last frame, if the numbers in the journal are the table's."""
    index = None if job.without_video else build_index(job.source)
    last = state["last"]
    if not isinstance(index, FrameIndex) or last >= len(index) or index.times[last] != state.get("time"):
        return None
    return index


def plan(sources: Iterable[str], output: Path | None) -> list[Job]:
    """Where the tracks of each source go: beside it, into the folder `output`, or to the file `output`.

    OutputError when two sources would write the same file, or several one.
    """
    jobs: dict[Path, Job] = {}
    sources = list(sources)
    if output and output.suffix == ".json" and len(sources) > 1:
        raise OutputError(f"{output}: one file cannot hold the tracks of {len(sources)} inputs; name a folder")
    for source in sources:
        job = Job(source, _output(source, output))
        if job.output in jobs:
            raise OutputError(
                f"{source} and {jobs[job.output].source} would both write {job.output}; "
                "run them apart, with different --output"
            )
        jobs[job.output] = job
    return list(jobs.values())


def _output(source: str, output: Path | None) -> Path:
    if output and output.suffix == ".json":
        return output
    path = Path(source)
    beside = Path() if "://" in source or source.isdigit() else path.parent
    return (output or beside) / f"{_stem(source)}.tracks.json"


def _stem(source: str) -> str:
    """What the results of a source are called: clip of a/clip.mp4, the folder of a glob, camera0."""
    if source.isdigit():
        return f"camera{source}"
    path = Path(source.split("?")[0].rstrip("/")) if "://" in source else Path(source)
    while re.search(r"[*?\[]", path.name):
        path = path.parent
    name = path.resolve().name if not path.name or path.name == ".." else path.name
    return name if path.is_dir() else Path(name).stem or "video"


def make_header(
    info: VideoInfo, skeleton: Skeleton, said: dict[str, Any], span: Span, settings: PipelineSettings
) -> Header:
    """The header of a result: versions, the video as it was read, skeleton, and every option in force."""
    return Header(versions(), _video_record(info), skeleton, {**said, **asdict(span), **asdict(settings)})


def versions() -> dict[str, str]:
    """What made a result, as its header says it: posetrack and the packages that its numbers depend on."""
    found = {"name": "posetrack", "version": posetrack.__version__}
    for package in ("torch", "torchvision", "opencv-contrib-python-headless", "av", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an equivalent package, say opencv-python, is installed in its place
            found[package] = "unknown"
    return found


def _video_record(info: VideoInfo) -> dict[str, Any]:
    """A video in a header. Its name without its folder: the same video gives the same file wherever it lies."""
    name = info.path if "://" in info.path and not is_remote(info.path) else Path(info.path).name
    return {
        "path": name, "width": info.width, "height": info.height, "fps": round(info.fps, 6),
        "duration": None if info.duration is None else round(info.duration, 6), "rotation": info.rotation,
    }  # fmt: skip


def run_job(
    job: Job,
    sight: Sight,
    settings: PipelineSettings,
    said: dict[str, Any],
    *,
    span: Span | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    show: Show | None = None,
) -> Outcome:
    """Track the people of one video into `job.output`.

    `said` is what the header says of the options besides `settings` and `span`. With `resume` an interrupted run goes
    on at its last block, and a finished one is left alone. A live source ends with the user's interrupt. Raises
    InputError and OutputError; what exists is only replaced with `overwrite`. A live source that is shown goes frame
    by frame, whatever `settings.block` says.
    """
    span = span or Span()
    with _open(job, span, sight) as reader:
        screen = show(reader.info, sight.skeleton) if show else None
        settings = replace(settings, block=1) if show and reader.info.kind == "live" else settings
        settings = settings if isinstance(reader, VideoReader) else _without_pictures(settings)
        header = make_header(reader.info, sight.skeleton, said, span, settings)
        if resume and job.output.exists() and not overwrite:
            return finished(job)
        point = resume_point(job.output, header) if resume and not overwrite else None
        expected = None if reader.frames_expected is None else reader.frames_expected - (point.frames if point else 0)
        report = watch(expected) if watch else None
        tracker = PoseTracker(sight.skeleton, settings.tracker)
        with Journal(job.output, header, resume=point, overwrite=overwrite) as journal:
            if point is None:
                with suppress(KeyboardInterrupt) if reader.info.kind == "live" else nullcontext():
                    made = follow(_taken(reader, screen), sight, tracker, settings)
                    _write(journal, made, tracker, report, screen)
                warnings = reader.warnings
            else:
                index = _index_for(job, point.state)
                with _open(job, span, sight, point.state["last"], index) as rest:
                    _go_on(journal, point, rest, sight, tracker, settings, report, screen)
                warnings = rest.warnings
        return Outcome(journal.frames, len(journal.tracks), warnings=list(warnings))


def _without_pictures(settings: PipelineSettings) -> PipelineSettings:
    """`settings` without what needs to see something."""
    return replace(settings, flow="none", tracker=replace(settings.tracker, appearance=False, reidentify=0))


def finished(job: Job) -> Outcome:
    """What came of a job that was done earlier; FormatError when its result is no such file."""
    tracks = read_tracks(job.output)
    return Outcome(tracks.header.video.get("frames_read") or 0, len(tracks.tracks), skipped=True)


Blocks = Generator[list[tuple[Frame, FrameResult]], None, None]


def _taken(frames: Iterable[Frame], screen: Screen | None) -> Iterator[Frame]:
    """`frames`, of each of which the screen is told when it is read."""
    for frame in frames:
        if screen:
            screen.taken(frame)
        yield frame


def _write(
    journal: Journal, made: Blocks, tracker: PoseTracker, report: Report | None, screen: Screen | None
) -> None:
    """Every block into the journal, with the tracker's state behind it."""
    with closing(made):
        for block in made:
            for frame, result in block:
                journal.write(result)
                if report:
                    report(result)
                if screen:
                    screen.done(frame, result)
            last = block[-1][0]
            state = {"last": last.index, "time": last.time, "tracker": tracker.state()}
            journal.checkpoint(state, next_frame=last.index + 1)


def _go_on(
    journal: Journal,
    point: Resume,
    rest: VideoReader | BareFrames,
    sight: Sight,
    tracker: PoseTracker,
    settings: PipelineSettings,
    report: Report | None,
    screen: Screen | None,
) -> None:
    """The rest of an interrupted run. `rest` begins with the last frame that was done, for the flow from it."""
    tracker.restore(point.state["tracker"])
    frames = iter(rest)
    before = next(frames, None)
    made = follow(_taken(frames, screen), sight, tracker, settings, before)
    _write(journal, made, tracker, report, screen)


def render_tracks(
    tracks: Path,
    video: str,
    output: Path,
    *,
    overwrite: bool = False,
    trails: float = 0.0,
    threshold: float = JOINT_THRESHOLD,
    watch: Watch | None = None,
) -> int:
    """Draw the people of the result file `tracks` on its `video`, into `output`; gives the number of frames.

    `trails` seconds of where people came from; joints scoring under `threshold` are left out. FormatError where the
    video is of another size, InputError and OutputError where one cannot be read and the other not written.
    """
    results = read_tracks(tracks)
    said, settings = results.header.video, results.header.settings
    start, end, stride = (settings.get(name) for name in ("start", "end", "stride"))
    with open_video(video, start, end, stride or 1) as reader:
        info = reader.info
        if (info.width, info.height) != (said.get("width"), said.get("height")):
            raise FormatError(
                f"{tracks} was made of a video of {said.get('width')}x{said.get('height')} pixels, "
                f"{video} has {info.width}x{info.height}; give the video that it was made of"
            )
        drawn = Trails(max(1, round(trails * info.fps / (stride or 1)))) if trails else None
        report = watch(reader.frames_expected) if watch else None
        with VideoWriter.like(info, output, overwrite, start=start, end=end, stride=stride or 1) as writer:
            frames, shown = ahead(reader, 8), _reported(results, report)
            count = annotate(frames, shown, writer, results.header.skeleton, drawn, threshold)
            writer.last_frame_ends = reader.end
    return count


def _reported(results: Iterable[FrameResult], report: Callable[[FrameResult], None] | None) -> Iterator[FrameResult]:
    for result in results:
        yield result
        if report:
            report(result)
