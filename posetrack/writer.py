"""Writing a video that plays anywhere: H.264, yuv420p, index at the front, the source's times and sound."""

from __future__ import annotations

import contextlib
import math
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from posetrack.errors import OutputError
from posetrack.sound import Sound
from posetrack.sources import VideoInfo
from posetrack.types import Image

__all__ = ["VideoWriter"]

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20", "bf": "0"},
    "libopenh264": {"b": "6M"},
    "h264_videotoolbox": {"b": "6M"},
    "h264_mf": {"b": "6M"},
    "mpeg4": {"qscale": "3"},
}
"""H.264 encoders, best first; the last is there in every FFmpeg.

No B-frames: coding order is then showing order, and variable times and the last frame's duration stay exact.
"""


class VideoWriter:
    """A video file, written frame by frame; it appears, whole, when the `with` block ends without an error.

    Frames keep the times they are given (variable rates too). Odd sizes get one more column or row, a copy of
    their last. `audio_from` names the video whose sound is brought along. With `start` or `end` (seconds of
    the source) the first frame comes at 0 and the sound is cut to the same part. The last frame is shown
    until `last_frame_ends` (seconds, may be set while writing), else for as long as the one before it.

    Raises OutputError where the file exists and `overwrite` is not set, the folder cannot be written, or the
    disk fills up; nothing is left behind then.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        audio_from: str | None = None,
        overwrite: bool = False,
        *,
        start: float | None = None,
        end: float | None = None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self.last_frame_ends: float | None = None
        self._size = (width, height)
        self._audio_from, self._start, self._end = audio_from, start, end
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._base = Fraction(1, self._rate.numerator * math.ceil(90000 / self._rate.numerator))
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._origin = 0.0
        self._ticks: list[int] = []
        self._sound: Sound | None = None
        self._open(overwrite, pixel_aspect)

    @classmethod
    def like(
        cls,
        info: VideoInfo,
        path: str | Path,
        overwrite: bool = False,
        *,
        start: float | None = None,
        end: float | None = None,
        stride: int = 1,
    ) -> VideoWriter:
        """A writer with the size, rate, pixel aspect and sound of the video (not the live one) of `info`."""
        sound = info.path if info.has_audio and info.kind == "file" else None
        return cls(
            path, info.width, info.height, info.fps / stride, sound, overwrite,
            start=start, end=end, pixel_aspect=info.pixel_aspect,
        )  # fmt: skip

    def write(self, image: Image, time: float) -> None:
        """Write `image`, (H, W, 3) uint8 RGB, to be shown from `time` (seconds of the source) on."""
        height, width = image.shape[:2]
        if (width, height) != self._size:
            raise ValueError(f"the writer wants {self._size[0]}x{self._size[1]}, not {width}x{height}")
        if not self._ticks:
            self._begin(time)
        tick = round((time - self._origin) / self._base)
        tick = max(tick, self._ticks[-1] + 1) if self._ticks else tick
        self._ticks = [*self._ticks[-1:], tick]
        frame = VideoFrame.from_ndarray(_even(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = tick, self._base
        with self._told():
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.pump(time - self._origin)

    def close(self) -> None:
        """Finish the file and give it its name; a video without frames leaves none."""
        if not self._ticks:
            self._discard()
            return
        try:
            with self._told():
                self._flush()
                self._container.close()
                os.replace(self._part, self.path)
        except BaseException:
            self._discard()
            raise
        if self._sound is not None:
            self._sound.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def _open(self, overwrite: bool, pixel_aspect: Fraction) -> None:
        form = _FORMATS.get(self.path.suffix.lower())
        if form is None:
            raise OutputError(f"{self.path}: videos are written as .mp4 or .mov; name it so")
        if self.path.exists() and not overwrite:
            raise OutputError(f"{self.path}: exists already; --overwrite replaces it, --output names another place")
        options = {"movflags": "+faststart"}
        with self._told():
            self._part.touch()  # FFmpeg opens its files late; what cannot be written is to be told early
            self._container: Any = av.open(str(self._part), "w", format=form, container_options=options)
            self._stream = self._add_video(pixel_aspect)

    def _add_video(self, pixel_aspect: Fraction) -> Any:
        encoder = next(name for name in _ENCODERS if name in av.codecs_available)
        if encoder == "mpeg4":
            self.warnings.append(f"{self.path}: this FFmpeg writes no H.264; MPEG-4 part 2 is written instead")
        stream: Any = self._container.add_stream(encoder, rate=self._rate, options=dict(_ENCODERS[encoder]))
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = self._base
        context.sample_aspect_ratio = pixel_aspect.limit_denominator(255)
        context.gop_size = max(12, round(2 * self._rate))  # a key frame each two seconds, so that seeking is quick
        context.color_range = 1  # limited, as players expect it
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        return stream

    def _begin(self, time: float) -> None:
        if self._start is not None or self._end is not None:
            self._origin = time
        if self._audio_from is not None:
            with self._told():
                self._sound = Sound(self._audio_from, self._container, self._origin, self._end, self.warnings)

    def _flush(self) -> None:
        """The encoder's last packets, the last frame with its duration, and the rest of the sound."""
        last = self._ticks[-1]
        step = last - self._ticks[0] or round(1 / self._rate / self._base)
        if self.last_frame_ends is not None:
            step = round((self.last_frame_ends - self._origin) / self._base) - last
        for packet in self._stream.encode(None):
            if packet.pts == last:
                packet.duration = max(1, step)
            self._container.mux(packet)
        if self._sound is not None:
            self._sound.pump(None if self._end is None else float((last + step) * self._base))

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        with contextlib.suppress(FFmpegError, OSError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Any:
        """What goes wrong in the block, as an OutputError that says what to do."""
        try:
            yield
        except (FFmpegError, OSError) as error:
            todo = {
                28: "free some space, or write elsewhere",
                2: "make the folder first, or write elsewhere",
                20: "make the folder first, or write elsewhere",
                13: "get the right to write there, or write elsewhere",
                30: "write elsewhere",
            }.get(error.errno or 0, "write elsewhere")
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error}); {todo}") from error


def _even(image: Image) -> Image:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
    return np.ascontiguousarray(image)
