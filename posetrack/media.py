"""Video files and URLs, decoded by FFmpeg: upright pictures with presentation times that always grow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from posetrack.errors import InputError
from posetrack.remote import RemoteFile, is_remote
from posetrack.sources import PICTURES_PER_SECOND, Raw, VideoInfo
from posetrack.types import Image

__all__ = ["Clock", "MediaSource", "has_variable_rate", "orientation"]

Matrix = tuple[int, int, int, int]


class MediaSource:
    """A video file or URL, decoded by FFmpeg.

    Times count from the container's start (as players show them) and always grow: see `Clock`. Rotations and
    flips of the display matrix are applied, edit lists are kept by FFmpeg's demuxer. Packets that do not
    decode are counted and become a warning. Raises InputError where there is no picture at all.

    `container` and `stream` are for those who decode parts of it themselves (seeking.py), `first` its first picture.
    """

    def __init__(self, path: str) -> None:
        self.warnings: list[str] = []
        self._path = path
        self.container = open_container(path)
        try:
            self.stream = picture_stream(path, self.container)
            self.stream.thread_type = "SLICE"  # threads of whole frames race where a picture is damaged
            self._damaged = 0
            self._decoded: Iterator[VideoFrame] = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(
                    f"{path}: no frame of it can be decoded; check that it plays, or convert it with FFmpeg"
                )
        except BaseException:
            self.container.close()
            raise
        self.first, self._decoded = first, chain([first], self._decoded)
        self._matrix = orientation(first)
        self.info = _describe(path, self.container, self.stream, first, self._matrix)
        self.clock = Clock(self.container, self.stream, self.info.fps)

    def __iter__(self) -> Iterator[Raw]:
        end, damaged, resized = 0.0, 0, False
        for index, frame in enumerate(self._decoded):
            time, duration = self.clock.tick(self.clock.ticks(frame), frame.duration)
            end = time + duration
            damaged += bool(getattr(frame, "is_corrupt", False))
            resized |= self.is_resized(frame)
            yield Raw(index, time, duration, self.converter(frame))
        self._conclude(end, damaged, resized)

    def is_resized(self, frame: VideoFrame) -> bool:
        """Whether a picture has another size than the first."""
        return (frame.width, frame.height) != (self.first.width, self.first.height)

    def close(self) -> None:
        """Close the container."""
        self.container.close()

    def _decode(self) -> Iterator[VideoFrame]:
        packets = self.container.demux(self.stream)
        while True:
            broken = False
            try:
                packet = next(packets, None)  # the last packet is empty and flushes the decoder
            except FFmpegError as error:
                self.warnings.append(f"{self._path}: reading stopped early ({error.strerror})")
                packet, broken = None, True
            if packet is None and not broken:
                return
            try:
                yield from self.stream.decode(packet)
            except FFmpegError:
                self._damaged += 1
            if broken:
                return

    def converter(self, frame: VideoFrame) -> Callable[[], Image]:
        """What makes `frame` an upright RGB picture of the first one's size."""

        def image() -> Image:
            stored = frame.to_ndarray(format="rgb24", width=self.first.width, height=self.first.height)
            return _upright(np.asarray(stored, np.uint8), self._matrix)

        return image

    def promised_beyond(self, end: float) -> float | None:
        """How many seconds of picture the file promises, where that is well beyond the `end` that was found."""
        promised = _picture_duration(self.stream) or (None if self.info.has_audio else self.info.duration)
        return promised if promised is not None and end < promised - max(0.5, 2 / self.info.fps) else None

    def _conclude(self, end: float, damaged: int, resized: bool) -> None:
        """Warnings that only the whole file justifies."""
        name = self._path
        damaged += self._damaged
        if damaged:
            places = "place" if damaged == 1 else "places"
            self.warnings.append(f"{name}: damaged in {damaged} {places}; what decodes around them is used")
        promised = self.promised_beyond(end)
        if promised:
            self.warnings.append(f"{name}: the pictures end at {end:.2f} s of {promised:.2f} s; is the file cut short?")
        if resized:
            self.warnings.append(f"{name}: {RESIZED}")


RESIZED = "the picture size changes on the way; all frames are scaled to the first one's"


class Clock:
    """Presentation times of decoded frames, strictly increasing.

    AVI stores no presentation times: FFmpeg numbers its pictures in coding order, wrong where there are
    B-frames, so there the decoding times, which do grow, are taken. A frame without a time follows the one
    before it at the nominal rate; so does one whose time falls far back, as where recordings were joined, and
    from there on all times are shifted. One that falls back a little comes half a frame after the one before.
    """

    def __init__(self, container: Any, stream: VideoStream, fps: float) -> None:
        self._base = stream.time_base or Fraction(1, 90000)
        self._start = Fraction(container.start_time or 0, av.time_base)
        self.by_decoding = container.format.name == "avi"
        self._nominal = 1 / fps
        self._last: float | None = None

    def ticks(self, frame: Any) -> int | None:
        """What a frame or packet says of its own time, in units of the stream's time base."""
        said: int | None = frame.dts if self.by_decoding else frame.pts
        return said

    def tick(self, ticks: int | None, duration: int | None) -> tuple[float, float]:
        """Time and duration of the next frame, in seconds."""
        if self.by_decoding and self._last is None and ticks is not None:
            self._start = ticks * self._base
        time = None if ticks is None else float(ticks * self._base - self._start)
        if self._last is None:
            time = time or 0.0
        elif time is None:
            time = self._last + self._nominal
        elif time < self._last - 2 * self._nominal:
            self._start -= Fraction(self._last + self._nominal - time)
            time = self._last + self._nominal
        elif time <= self._last:
            time = self._last + self._nominal / 2
        self._last = time
        return time, self.duration(duration)

    def duration(self, ticks: int | None) -> float:
        """How long a frame is shown, in seconds, by what it says of itself or at the nominal rate."""
        return float(ticks * self._base) if ticks else self._nominal


def open_container(path: str) -> Any:
    """The container of a file or URL, opened by FFmpeg; InputError where there is none."""
    remote = RemoteFile(path) if is_remote(path) else None
    url = "://" in path and not remote
    if not url:
        file = Path(path)
        if not remote and not file.exists():
            raise InputError(f"{path}: no such file; check the path")
        if not remote.size if remote else file.is_file() and file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or record it again")
    options = {"rtsp_transport": "tcp"} if path.startswith("rtsp") else {}
    try:
        container: Any = av.open(
            remote or path, options=options, timeout=(15.0, 15.0) if url else None,
            metadata_errors="replace",
        )  # fmt: skip
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        what = "cannot be opened" if url else "is not a video that FFmpeg can read, or its index is lost"
        todo = "check address and network" if url else "check that it plays, or convert it with FFmpeg"
        raise InputError(f"{path}: {what} ({reason}); {todo}") from error
    if container.format.name == "tty":
        container.close()
        raise InputError(f"{path}: this is a text, not a video; name a video file")
    return container


def picture_stream(path: str, container: Any) -> VideoStream:
    """The first stream of moving pictures; InputError where there is none, or no decoder for it."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: this FFmpeg has no decoder for its pictures; convert it to H.264")
            return stream  # type: ignore[no-any-return]
    what = "sound but no pictures" if container.streams.audio else "no pictures"
    raise InputError(f"{path}: there are {what} in it; name a video file")


def _describe(path: str, container: Any, stream: VideoStream, first: VideoFrame, matrix: Matrix) -> VideoInfo:
    fps = _nominal_rate(stream)
    duration = _picture_duration(stream)
    if duration is None and container.duration:
        duration = container.duration / av.time_base
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
        coded_width=first.width, coded_height=first.height, rotation=degrees, mirrored=mirrored,
        pixel_aspect=aspect, audio_codec=_codec_name(sound),
    )  # fmt: skip


def _codec_name(sound: Any) -> str | None:
    if sound is None:
        return None
    return sound.codec_context.name if sound.codec_context else "unknown"


def _nominal_rate(stream: VideoStream) -> float:
    """FFmpeg's guess, unless it is the time base in disguise (variable rates); else the average; else 25."""
    guess, average = float(stream.guessed_rate or 0), float(stream.average_rate or 0)
    if guess and (not average or guess < 1.5 * average):
        return guess
    return average or PICTURES_PER_SECOND


def _picture_duration(stream: VideoStream) -> float | None:
    """Seconds of picture that the file promises: the stream's, else its tag's (Matroska)."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return None


def has_variable_rate(path: str) -> bool:
    """Whether the first 300 frames of a video file are unevenly apart, by more than a tick and a millisecond.

    Raises InputError as `MediaSource` does.
    """
    with open_container(path) as container:
        stream = picture_stream(path, container)
        packets = islice(container.demux(stream), 332)
        ticks = sorted({packet.pts for packet in packets if packet.pts is not None})
        steps = np.diff(ticks[:300])  # the newest of the packets have gaps that B-frames are still to fill
        slack = max(1.0, 0.001 / float(stream.time_base or 1))
    return bool(steps.size > 1 and steps.max() - steps.min() > slack)


def orientation(frame: VideoFrame) -> Matrix:
    """The signs (a, b, c, d) of a frame's display matrix, to the nearest right angle; upright: (1, 0, 0, 1).

    A stored pixel (p, q) is shown at (a p + c q, b p + d q), but for a shift (ISO 14496-12, 8.3.2).
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _upright(image: Image, matrix: Matrix) -> Image:
    a, b, c, d = matrix
    turned: Any = image if a else cv2.transpose(image)
    left_right, top_bottom = a + c < 0, b + d < 0
    if left_right or top_bottom:
        turned = cv2.flip(turned, -1 if left_right and top_bottom else int(left_right))
    return np.asarray(turned, np.uint8)


def _turn(matrix: Matrix) -> tuple[int, bool]:
    """Degrees clockwise (after a left-right flip, if it is mirrored)."""
    a, b, c, d = matrix
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[a, b], mirrored
