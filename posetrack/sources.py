"""Where pictures come from: video files and URLs (PyAV), folders of pictures, cameras.

A source has `info`, `warnings`, `close()` and gives `Raw` pictures: a time, how long it is shown, and a way to
have it as RGB. What is dropped is never converted. `posetrack.video` makes frames of them.
"""

from __future__ import annotations

import itertools
import re
import threading
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrack.errors import InputError
from posetrack.types import Image

__all__ = [
    "PICTURE_SUFFIXES", "CameraSource", "LiveSource", "MediaSource", "PictureSource", "Raw", "RawSource", "VideoInfo",
    "natural_order", "orientation",
]  # fmt: skip

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"}
)
PICTURES_PER_SECOND = 25.0
"""Pictures of a folder carry no time; they are shown at the rate that FFmpeg assumes for them too."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is read to its end.

    `width`, `height`: of the upright picture; `coded_width`, `coded_height`: as it is stored. `rotation`: degrees
    clockwise from stored to upright; `mirrored`: it is flipped as well. `fps`: nominal frames a second.
    `duration` in seconds and `frames_estimate` are what the file says of itself, None where it doesn't.
    `pixel_aspect`: width of a pixel by its height. `kind`: file, pictures or live.
    """

    path: str
    width: int
    height: int
    fps: float
    duration: float | None
    frames_estimate: int | None
    kind: str = "file"
    container: str = ""
    codec: str = ""
    pixel_format: str = ""
    coded_width: int = 0
    coded_height: int = 0
    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    audio_codec: str | None = None

    @property
    def has_audio(self) -> bool:
        """Whether the file has sound."""
        return self.audio_codec is not None


@dataclass(frozen=True, eq=False)
class Raw:
    """The picture number `index` of its source, which may never be converted.

    `time` and `duration` are in seconds; `image()` gives it as upright RGB.
    """

    index: int
    time: float
    duration: float
    image: Callable[[], Image]


class RawSource(Protocol):
    """What `VideoReader` asks of a source."""

    info: VideoInfo
    warnings: list[str]

    def __iter__(self) -> Iterator[Raw]: ...

    def close(self) -> None:
        """Let go of files, threads and devices."""


def natural_order(name: str | Path) -> list[tuple[int, int, str]]:
    """A sort key by which img2 comes before img10."""
    parts = re.split(r"(\d+)", str(name))
    return [(0, int(part), part) if part.isdigit() else (1, 0, part.lower()) for part in parts]


# -- files and URLs --------------------------------------------------------------------------------------------------


class MediaSource:
    """A video file or URL, decoded by FFmpeg.

    Times count from the container's start (as players show them) and always grow: see `_Clock`. Rotations and
    flips of the display matrix are applied, edit lists are kept by FFmpeg's demuxer. Packets that do not decode
    are counted and become a warning. Raises InputError where there is no picture at all.
    """

    def __init__(self, path: str) -> None:
        self.warnings: list[str] = []
        self._container = _open_container(path)
        try:
            self._stream = _picture_stream(path, self._container)
            self._stream.thread_type = "AUTO"
            self._damaged = 0
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(
                    f"{path}: no frame of it can be decoded; check that it plays, or convert it with FFmpeg"
                )
        except BaseException:
            self._container.close()
            raise
        self._first: VideoFrame | None = first
        self._matrix = orientation(first)
        self.info = _describe(path, self._container, self._stream, first, self._matrix)

    def __iter__(self) -> Iterator[Raw]:
        if self._first is None:
            return
        clock = _Clock(self._container, self._stream, self.info.fps)
        frame: VideoFrame | None = self._first
        self._first = None
        index, end, damaged, resized = 0, 0.0, 0, False
        size = (frame.width, frame.height) if frame is not None else (0, 0)
        while frame is not None:
            time, duration = clock.tick(frame)
            end = time + duration
            damaged += bool(getattr(frame, "is_corrupt", False))
            resized |= (frame.width, frame.height) != size
            yield Raw(index, time, duration, self._converter(frame, size))
            index += 1
            frame = next(self._decoded, None)
        self._conclude(end, damaged, resized)

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            broken = False
            try:
                packet = next(packets, None)  # the last packet is empty and flushes the decoder
            except FFmpegError as error:
                self.warnings.append(f"{self._container.name}: reading stopped early ({error.strerror})")
                packet, broken = None, True
            if packet is None and not broken:
                return
            try:
                yield from self._stream.decode(packet)
            except FFmpegError:
                self._damaged += 1
            if broken:
                return

    def _converter(self, frame: VideoFrame, size: tuple[int, int]) -> Callable[[], Image]:
        return lambda: _upright(frame.to_ndarray(format="rgb24", width=size[0], height=size[1]), self._matrix)

    def _conclude(self, end: float, damaged: int, resized: bool) -> None:
        """Warnings that only the whole file justifies."""
        name = self._container.name
        if self._damaged or damaged:
            self.warnings.append(
                f"{name}: {self._damaged + damaged} damaged places; what decodes around them is used"
            )
        promised = self.info.duration
        if promised is not None and end < promised - max(0.5, 2 / self.info.fps):
            self.warnings.append(
                f"{name}: the pictures end at {end:.2f} s of {promised:.2f} s; is the file cut short?"
            )
        if resized:
            self.warnings.append(
                f"{name}: the picture size changes on the way; all frames are scaled to the first one's"
            )


class _Clock:
    """Presentation times of decoded frames, strictly increasing.

    AVI stores no presentation times: FFmpeg numbers its pictures in coding order, wrong where there are B-frames, so
    there the decoding times, which do grow, are taken. A frame without a time, or with one that does not grow,
    follows the one before it at the nominal rate.
    """

    def __init__(self, container: Any, stream: VideoStream, fps: float) -> None:
        self._base = stream.time_base or Fraction(1, 90000)
        self._start = Fraction(container.start_time or 0, av.time_base)
        self._by_decoding = container.format.name == "avi"
        self._nominal = 1 / fps
        self._last: float | None = None

    def tick(self, frame: VideoFrame) -> tuple[float, float]:
        """Time and duration of the next `frame`, in seconds."""
        ticks = frame.dts if self._by_decoding else frame.pts
        if self._by_decoding and self._last is None and ticks is not None:
            self._start = ticks * self._base
        time = None if ticks is None else float(ticks * self._base - self._start)
        if self._last is None:
            time = time or 0.0
        elif time is None or time <= self._last:
            time = self._last + self._nominal
        self._last = time
        return time, float(frame.duration * self._base) if frame.duration else self._nominal


def _open_container(path: str) -> Any:
    url = "://" in path
    if not url:
        file = Path(path)
        if not file.exists():
            raise InputError(f"{path}: no such file; check the path")
        if file.is_file() and file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or record it again")
    options = {"rtsp_transport": "tcp"} if path.startswith("rtsp") else {}
    try:
        container = av.open(
            path, options=options, timeout=(15.0, 15.0) if url else None, metadata_errors="replace"
        )
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        what = "cannot be opened" if url else "is not a video that FFmpeg can read, or its index is lost"
        todo = "check address and network" if url else "check that it plays, or convert it with FFmpeg"
        raise InputError(f"{path}: {what} ({reason}); {todo}") from error
    if container.format.name == "tty":
        container.close()
        raise InputError(f"{path}: this is a text, not a video; name a video file")
    return container


def _picture_stream(path: str, container: Any) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: this FFmpeg has no decoder for its pictures; convert it to H.264")
            return stream  # type: ignore[no-any-return]
    what = "sound but no pictures" if container.streams.audio else "no pictures"
    raise InputError(f"{path}: there are {what} in it; name a video file")


def _describe(
    path: str, container: Any, stream: VideoStream, first: VideoFrame, matrix: tuple[int, int, int, int]
) -> VideoInfo:
    fps = _nominal_rate(stream)
    duration = _duration(container, stream)
    frames = stream.frames or None
    if duration is not None:
        shown = max(1, round(duration * float(stream.average_rate or fps)))
        frames = shown if frames is None else min(frames, shown)
    width, height = first.width, first.height
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not matrix[0]:
        width, height, aspect = height, width, 1 / aspect
    degrees, mirrored = _turn(matrix)
    sound = next(iter(container.streams.audio), None)
    return VideoInfo(
        path=path, width=width, height=height, fps=fps, duration=duration, frames_estimate=frames,
        container=container.format.name, codec=stream.codec_context.name, pixel_format=first.format.name,
        coded_width=first.width, coded_height=first.height, rotation=degrees, mirrored=mirrored, pixel_aspect=aspect,
        audio_codec=sound.codec_context.name if sound is not None and sound.codec_context else None,
    )  # fmt: skip


def _nominal_rate(stream: VideoStream) -> float:
    """FFmpeg's guess, unless it is the time base in disguise (variable rates); else the average; else 25."""
    guess, average = float(stream.guessed_rate or 0), float(stream.average_rate or 0)
    if guess and (not average or guess < 1.5 * average):
        return guess
    return average or PICTURES_PER_SECOND


def _duration(container: Any, stream: VideoStream) -> float | None:
    """Seconds of picture that the file promises: the stream's, its tag (Matroska), or the file's if it is silent."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return container.duration / av.time_base if container.duration else None


# -- orientation -----------------------------------------------------------------------------------------------------


def orientation(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The signs (a, b, c, d) of a frame's display matrix, to the nearest right angle; (1, 0, 0, 1) is upright.

    A stored pixel (p, q) is shown at (a p + c q, b p + d q), but for a shift (ISO 14496-12, 8.3.2).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _upright(image: Image, matrix: tuple[int, int, int, int]) -> Image:
    a, b, c, d = matrix
    if matrix == (1, 0, 0, 1):
        return image
    if not a:
        image = image.transpose(1, 0, 2)
    return np.ascontiguousarray(image[:: b + d, :: a + c])


def _turn(matrix: tuple[int, int, int, int]) -> tuple[int, bool]:
    """Degrees clockwise (after a left-right flip, if it is mirrored)."""
    a, b, c, d = matrix
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[a, b], mirrored


# -- pictures --------------------------------------------------------------------------------------------------------


class PictureSource:
    """Pictures on disk in natural order, shown at 25 a second; EXIF orientation is honoured.

    Raises InputError that names the picture that cannot be read or has another size than the first.
    """

    def __init__(self, path: str, files: list[Path]) -> None:
        if not files:
            raise InputError(
                f"{path}: there are no pictures in it; name a folder of pictures or a video file"
            )
        self.warnings: list[str] = []
        self._files = sorted(files, key=natural_order)
        height, width = _read_picture(self._files[0]).shape[:2]
        self.info = VideoInfo(
            path=path, width=width, height=height, fps=PICTURES_PER_SECOND,
            duration=len(files) / PICTURES_PER_SECOND, frames_estimate=len(files), kind="pictures",
            codec=self._files[0].suffix.lower().lstrip("."), coded_width=width, coded_height=height,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Raw]:
        for n, file in enumerate(self._files):
            yield Raw(n, n / PICTURES_PER_SECOND, 1 / PICTURES_PER_SECOND, self._converter(file))

    def close(self) -> None:
        """Nothing is held open between pictures."""

    def _converter(self, file: Path) -> Callable[[], Image]:
        return lambda: self._read(file)

    def _read(self, file: Path) -> Image:
        image = _read_picture(file)
        height, width = image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise InputError(
                f"{file}: it is {width}x{height}, the pictures before it {self.info.width}x{self.info.height}; "
                "keep pictures of one size in a folder"
            )
        return image


def _read_picture(file: Path) -> Image:
    try:
        data = np.fromfile(file, np.uint8)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror}); check the path and its rights"
        ) from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{file}: this picture cannot be read; take it out or save it again")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


# -- live ------------------------------------------------------------------------------------------------------------


class CameraSource:
    """A camera by its number, through OpenCV (which knows the cameras of Linux, macOS and Windows by number).

    Times are those of arrival, from the first picture on.
    """

    def __init__(self, index: int) -> None:
        self.warnings: list[str] = []
        self._camera = cv2.VideoCapture(index)
        good, image = self._camera.read()
        if not good:
            self._camera.release()
            raise InputError(f"camera {index}: there is none, or another program uses it; try another number")
        height, width = image.shape[:2]
        fps = float(self._camera.get(cv2.CAP_PROP_FPS)) or PICTURES_PER_SECOND
        self.info = VideoInfo(
            path=f"camera {index}", width=width, height=height, fps=fps, duration=None, frames_estimate=None,
            kind="live", coded_width=width, coded_height=height,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Raw]:
        begin = clock.monotonic()
        for index in itertools.count():
            good, image = self._camera.read()
            if not good:
                return
            yield Raw(index, clock.monotonic() - begin, 1 / self.info.fps, self._converter(image))

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.release()

    @staticmethod
    def _converter(image: Any) -> Callable[[], Image]:
        return lambda: np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


class LiveSource:
    """A live source read by its own thread, of which the newest picture is given and older ones are dropped.

    What was dropped leaves gaps in the frames' numbers. Errors of the thread come out of the iteration.
    """

    def __init__(self, source: RawSource) -> None:
        self.info, self.warnings = source.info, source.warnings
        self._source = source
        self._changed = threading.Condition()
        self._newest: Raw | None = None
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="live video", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Raw]:
        while True:
            with self._changed:
                while self._newest is None and not self._ended:
                    self._changed.wait(
                        timeout=0.5
                    )  # a wait without end would not let Ctrl-C through on Windows
                newest, self._newest = self._newest, None
                error = self._error
            if newest is not None:
                yield newest
            elif error is not None:
                raise error
            else:
                return

    def close(self) -> None:
        """Stop the thread and close what it read from."""
        self._closed = True
        self._thread.join(timeout=20)
        self._source.close()

    def _read(self) -> None:
        try:
            for raw in self._source:
                with self._changed:
                    self._newest = raw
                    self._changed.notify()
                if self._closed:
                    break
        except BaseException as error:  # it belongs to the thread that iterates
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
