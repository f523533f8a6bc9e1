"""Videos in and out: one frame at a time with its number, its presentation time and its upright RGB picture.

    with open_video("clip.mp4", start=2) as video:
        for frame in video:
            ...

Decoding is in `media` and `sources`, writing in `writer`; what the rest of the program needs of both is here.
"""

from __future__ import annotations

import glob
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from posetrack.errors import InputError
from posetrack.media import MediaSource, has_variable_rate
from posetrack.remote import LIVE_SCHEMES, find, is_remote, local_name
from posetrack.seeking import EARLY, FrameIndex, Inexact, index_of, parts_of
from posetrack.sources import (
    PICTURE_SUFFIXES,
    CameraSource,
    LiveSource,
    PictureSource,
    Raw,
    RawSource,
    VideoInfo,
    natural_order,
)
from posetrack.types import Frame
from posetrack.writer import VideoWriter

__all__ = [
    "BlockReader", "FrameIndex", "Inexact", "VideoInfo", "VideoReader", "VideoWriter", "build_index", "expand_inputs",
    "has_variable_rate", "open_video",
]  # fmt: skip

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv",
    ".asf", ".flv", ".3gp", ".3g2", ".ogv", ".mxf", ".vob", ".y4m", ".dv", ".h264", ".264", ".hevc", ".h265",
})  # fmt: skip
OWN_VIDEO = ".tracks.mp4"
"""How the annotated videos that posetrack writes end; in a folder they are no input."""


PathOrUrl = TypeVar("PathOrUrl", bound=Path | str)


class VideoReader:
    """The frames of one source from `start` to before `end` (seconds), each `stride`-th; iterable once.

    A frame's index is its own number in the whole source. `part` leaves out the frames that are not numbered in it
    and changes nothing else: what comes is what would have come. With an `index` the part is sought as long as what
    comes keeps the index's promises; without one all frames before it are decoded, but not converted. `warnings` grows
    while frames are read; `end` is when the newest frame leaves the screen.
    """

    def __init__(
        self, source: RawSource, start: float | None, end: float | None, stride: int, part: range,
        index: FrameIndex | None = None,
    ) -> None:  # fmt: skip
        if stride < 1:
            raise InputError(f"stride is {stride}; it must be 1 or more")
        if start is not None and end is not None and end <= start:
            raise InputError(f"end ({end:g} s) is not after start ({start:g} s)")
        self._source, self._index = source, index
        self._start, self._end, self._stride, self._part = start, end, stride, part
        self.info = source.info
        self.warnings = source.warnings
        self.frames_read = 0
        self.end: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        for raw in self._decoded() if self._index is None else self._sought(self._index):
            if raw.index in self._part:
                frame = Frame(raw.index, raw.time, raw.image())
                self.frames_read += 1
                self.end = raw.time + raw.duration
                yield frame

    def _decoded(self) -> Iterator[Raw]:
        """The pictures of the span up to the end of the part, decoded from the source's start."""
        begin = 0.0 if self._start is None else self._start - EARLY
        first: int | None = None
        for raw in self._source:
            if raw.index >= self._part.stop:
                return
            if self._end is not None and raw.time >= self._end - EARLY:
                break
            if raw.time >= begin:
                first = raw.index if first is None else first
                if (raw.index - first) % self._stride == 0:
                    yield raw
        if first is None:
            raise self._nothing()

    def _sought(self, index: FrameIndex) -> Iterator[Raw]:
        """The pictures of the part, decoded from the key frame before it; from the start where that comes to fail."""
        assert isinstance(self._source, MediaSource | PictureSource)
        numbers = index.numbers(self._start, self._end, self._stride)
        if not numbers:
            raise self._nothing()
        wanted = numbers[bisect_left(numbers, self._part.start) : bisect_left(numbers, self._part.stop)]
        if not wanted:
            return
        done = self._part.start
        try:
            for raw in parts_of(self._source, index)(wanted[0], wanted[-1] + 1):
                done = raw.index + 1
                if raw.index in wanted:
                    yield raw
        except Inexact:
            self.close()
            self._source = _open_source(self.info.path)
            self.warnings = self._source.warnings
            yield from (raw for raw in self._decoded() if raw.index >= done)

    def _nothing(self) -> InputError:
        return InputError(
            f"{self.info.path}: no frame lies between start and end; the video lasts {self.info.duration or 0:.2f} s"
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
    stop_index: int = sys.maxsize,
    index: FrameIndex | None = None,
) -> VideoReader:
    """Open a video file, folder or glob of pictures, camera number, or rtsp/http URL; see `VideoReader`.

    Only frames numbered `start_index` to before `stop_index` are given; `index` is what `build_index` made of the
    source. The first picture is decoded at once. Raises InputError for what is absent, empty, not a video, or without
    pictures.
    """
    return VideoReader(_open_source(str(source)), start, end, stride, range(start_index, stop_index), index)


def build_index(source: str | int | Path) -> FrameIndex | str:
    """The table by which parts of a source can be decoded exactly, or the reason in words why there can be none.

    Reads a video file through once and decodes nothing but its first picture. Raises InputError as `open_video` does.
    """
    opened = _open_source(str(source))
    try:
        if isinstance(opened, LiveSource):
            return "it is live"
        assert isinstance(opened, MediaSource | PictureSource)
        name = opened.info.path
        if isinstance(opened, MediaSource) and not is_remote(name) and not Path(name).is_file():
            return "it comes over the network"
        return index_of(opened)
    finally:
        opened.close()


class BlockReader:
    """Parts of a source in any order, by the table that `build_index` made of it; a context manager.

    The source stays open, and a part that follows the last one is read on without seeking. Raises InputError as
    `open_video` does.
    """

    def __init__(self, source: str | int | Path, index: FrameIndex) -> None:
        opened = _open_source(str(source))
        assert isinstance(opened, MediaSource | PictureSource)
        self._source, self._part = opened, parts_of(opened, index)
        self.info, self.warnings = opened.info, opened.warnings

    def read(self, numbers: range) -> list[Frame]:
        """The frames so numbered, as a decode from the start gives them; Inexact where that cannot be had."""
        if not numbers:
            return []
        raws = self._part(numbers[0], numbers[-1] + 1)
        return [Frame(raw.index, raw.time, raw.image()) for raw in raws if raw.index in numbers]

    def prove(self, numbers: range) -> None:
        """Raise Inexact where frames so numbered don't keep the table's promises; decodes them and no more.

        What is left out before the blocks, at the start of a video, has to be proven: numbers behind it depend on it.
        """
        for _ in self._part(numbers.start, numbers.stop):
            pass

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_source(name: str) -> RawSource:
    name = local_name(name)
    path = Path(name)
    if is_remote(name):
        return _open_remote(name)
    if "://" in name:
        media = MediaSource(name)
        is_live = name.split("://")[0].lower() in LIVE_SCHEMES or media.info.duration is None
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


def _open_remote(url: str) -> RawSource:
    found = _find(url)
    if found is None:
        return PictureSource(url, [url]) if _pictures([url]) else MediaSource(url)
    if len(found) == 1 and not _pictures(found):
        return MediaSource(found[0])
    return PictureSource(url, _pictures(found))


def _find(url: str) -> list[str] | None:
    """As remote.find, which is not asked about what is called as a video is."""
    return find(url) if glob.has_magic(url) or not _videos([url]) else None


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
    pictures. In object stores it is the same. The rest is left as it is. Raises InputError for folders and globs in
    which there is nothing.
    """
    return [source for path in paths for source in _expand(local_name(str(path)))]


def _expand(name: str) -> list[str]:
    path = Path(name)
    if is_remote(name):
        return _expand_remote(name)
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


def _expand_remote(url: str) -> list[str]:
    found = _find(url)
    if found is None or len(found) == len(_pictures(found)) > 0:
        return [url]
    if not _videos(found):
        raise InputError(f"{url}: there is no video and no sequence of pictures there; name one that is")
    return _videos(found)


def _entries(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}); check its rights") from error


def _pictures(files: Sequence[PathOrUrl]) -> list[PathOrUrl]:
    return [file for file in files if _suffix(file) in PICTURE_SUFFIXES]


def _videos(files: Sequence[Path | str]) -> list[str]:
    """The videos among paths and URLs, in natural order, without those that posetrack drew."""
    kept = [file for file in files if _suffix(file) in VIDEO_SUFFIXES and (isinstance(file, str) or file.is_file())]
    return [str(file) for file in sorted(kept, key=natural_order) if not str(file).lower().endswith(OWN_VIDEO)]


def _suffix(file: Path | str) -> str:
    """What the name of a file ends with, '' where it is hidden."""
    path = Path(file)
    return "" if path.name.startswith(".") else path.suffix.lower()
