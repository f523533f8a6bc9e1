"""Videos in and out: one frame at a time with its number, its presentation time and its upright RGB picture.

    with open_video("clip.mp4", start=2) as video:
        for frame in video:
            ...

Decoding is in `media` and `sources`, writing in `writer`; what the rest of the program needs of both is here.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from posetrack.errors import InputError
from posetrack.media import MediaSource, has_variable_rate
from posetrack.sources import (
    PICTURE_SUFFIXES,
    CameraSource,
    LiveSource,
    PictureSource,
    RawSource,
    VideoInfo,
    natural_order,
)
from posetrack.types import Frame
from posetrack.writer import VideoWriter

__all__ = ["VideoInfo", "VideoReader", "VideoWriter", "expand_inputs", "has_variable_rate", "open_video"]

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv",
    ".asf", ".flv", ".3gp", ".3g2", ".ogv", ".mxf", ".vob", ".y4m", ".dv", ".h264", ".264", ".hevc", ".h265",
})  # fmt: skip
OWN_VIDEO = ".tracks.mp4"
"""How the annotated videos that posetrack writes end; in a folder they are no input."""
LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "tcp"})
_EARLY = 1e-6
"""Seconds: a frame this little before `start` or `end` counts as there (3.003 is not exact in binary)."""


class VideoReader:
    """The frames of one source from `start` to before `end` (seconds), each `stride`-th; iterable once.

    A frame's index is its own number in the whole source. `start_index` leaves out the frames before it and
    changes nothing else: what comes is what would have come. All earlier frames are decoded, so this is
    always exact, but not converted. `warnings` grows while frames are read; `end` is when the newest frame
    leaves the screen.
    """

    def __init__(
        self, source: RawSource, start: float | None, end: float | None, stride: int, start_index: int
    ) -> None:
        if stride < 1:
            raise InputError(f"stride is {stride}; it must be 1 or more")
        if start is not None and end is not None and end <= start:
            raise InputError(f"end ({end:g} s) is not after start ({start:g} s)")
        self._source = source
        self._start, self._end, self._stride, self._start_index = start, end, stride, start_index
        self.info = source.info
        self.warnings = source.warnings
        self.frames_read = 0
        self.end: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        begin = 0.0 if self._start is None else self._start - _EARLY
        first: int | None = None
        for raw in self._source:
            if raw.time < begin:
                continue
            if self._end is not None and raw.time >= self._end - _EARLY:
                break
            first = raw.index if first is None else first
            if raw.index < self._start_index or (raw.index - first) % self._stride:
                continue
            frame = Frame(raw.index, raw.time, raw.image())
            self.frames_read += 1
            self.end = raw.time + raw.duration
            yield frame
        if first is None:
            raise InputError(
                f"{self.info.path}: no frame lies between start and end; the video lasts "
                f"{self.info.duration or 0:.2f} s"
            )

    @property
    def frames_expected(self) -> int | None:
        """About how many frames will come in all, or None for live and endless sources."""
        total, duration = self.info.frames_estimate, self.info.duration
        if total is None or not duration:
            return total
        begin = min(self._start or 0.0, duration)
        end = duration if self._end is None else min(self._end, duration)
        return max(0, round(total * (end - begin) / duration / self._stride))

    def close(self) -> None:
        """Let go of files, threads and devices."""
        self._source.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(
    source: str | int | Path,
    start: float | None = None,
    end: float | None = None,
    stride: int = 1,
    start_index: int = 0,
) -> VideoReader:
    """Open a video file, folder or glob of pictures, camera number, or rtsp/http URL; see `VideoReader`.

    The first picture is decoded at once. Raises InputError for what is absent, empty, not a video, or without
    pictures.
    """
    return VideoReader(_open_source(str(source)), start, end, stride, start_index)


def _open_source(name: str) -> RawSource:
    path = Path(name)
    if "://" in name:
        media = MediaSource(name)
        scheme = name.split("://")[0].lower()
        is_live = scheme in LIVE_SCHEMES or (scheme != "file" and media.info.duration is None)
        return LiveSource(media) if is_live else media
    if path.is_dir():
        return PictureSource(name, _pictures([path / entry for entry in _entries(path)]))
    if path.exists():
        return PictureSource(name, [path]) if path.suffix.lower() in PICTURE_SUFFIXES else MediaSource(name)
    if re.fullmatch(r"\d+", name):
        return LiveSource(CameraSource(int(name)))
    if glob.has_magic(name):
        return _open_glob(name)
    return MediaSource(name)


def _open_glob(pattern: str) -> RawSource:
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]
    pictures = _pictures(found)
    if len(found) == 1 and not pictures:
        return MediaSource(str(found[0]))
    if not pictures:
        raise InputError(f"{pattern}: no picture fits this pattern; check the path")
    return PictureSource(pattern, pictures)


def expand_inputs(paths: Sequence[str | int | Path]) -> list[str]:
    """The sources that the inputs of a command stand for, in the order given.

    A folder with videos stands for its videos in natural order (annotated videos of posetrack's own left
    out), a folder of pictures for itself; a glob for the videos it finds, or for one sequence if all are
    pictures. The rest is left as it is. Raises InputError for folders and globs in which there is nothing.
    """
    return [source for path in paths for source in _expand(str(path))]


def _expand(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        files = [path / entry for entry in _entries(path)]
        if not _videos(files) and not _pictures(files):
            raise InputError(f"{name}: there is no video and no picture in this folder; name one that has some")
        return _videos(files) or [name]
    if "://" in name or path.exists() or not glob.has_magic(name):
        return [name]
    found = sorted(map(Path, glob.glob(name, recursive=True)), key=natural_order)
    if not found:
        raise InputError(f"{name}: nothing fits this pattern; check the path")
    if len(_pictures(found)) == len(found):
        return [name]
    sources = _videos(found) + [source for folder in found if folder.is_dir() for source in _expand(str(folder))]
    if not sources:
        raise InputError(f"{name}: what fits this pattern is neither video nor picture; name the file itself")
    return sources


def _entries(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}); check its rights") from error


def _pictures(files: Sequence[Path]) -> list[Path]:
    return [f for f in files if f.suffix.lower() in PICTURE_SUFFIXES and not f.name.startswith(".")]


def _videos(files: Sequence[Path]) -> list[str]:
    kept = [f for f in files if f.suffix.lower() in VIDEO_SUFFIXES and f.is_file() and not f.name.startswith(".")]
    return [str(f) for f in sorted(kept, key=natural_order) if not f.name.lower().endswith(OWN_VIDEO)]
