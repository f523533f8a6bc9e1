"""Small videos made on the spot with PyAV, each frame of which carries its number."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["CORNERS", "Pixels", "corners", "make_clip", "number", "picture", "rotate", "tone"]

Pixels = NDArray[np.uint8]
BITS = 8
CORNERS = ("red", "green", "blue", "white")
"""The colours of a picture's corners: top left, top right, bottom left, bottom right."""

_COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (230, 230, 230)}


def picture(n: int, width: int = 64, height: int = 48) -> Pixels:
    """A frame with a colour in each quarter and, in a band across its middle, `n` in black and white bits."""
    image = np.zeros((height, width, 3), np.uint8)
    for k, name in enumerate(CORNERS):
        rows = slice(0, height // 2) if k < 2 else slice(height // 2, None)
        columns = slice(0, width // 2) if k % 2 == 0 else slice(width // 2, None)
        image[rows, columns] = _COLOURS[name]
    for bit in range(BITS):
        columns = slice(bit * width // BITS, (bit + 1) * width // BITS)
        image[height // 3 : 2 * height // 3, columns] = 255 * (n >> bit & 1)
    return image


def number(image: Pixels) -> int:
    """The number that a frame carries."""
    height, width = image.shape[:2]
    levels = [image[height // 2, (2 * bit + 1) * width // (2 * BITS)].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(levels) if level > 127)


def corners(image: Pixels) -> tuple[str, ...]:
    """The names of the colours in a picture's corners."""
    height, width = image.shape[:2]
    spots = [image[y, x].astype(int) for y in (height // 10, -height // 10) for x in (width // 10, -width // 10)]
    return tuple(min(_COLOURS, key=lambda name: float(np.abs(spot - _COLOURS[name]).sum())) for spot in spots)


def tone(seconds: float, onset: float, rate: int = 48000) -> NDArray[np.int16]:
    """Silence until `onset` seconds, then a loud tone."""
    t = np.arange(round(seconds * rate)) / rate
    return np.asarray(20000 * np.sin(2 * np.pi * 440 * t) * (t >= onset), np.int16)


def make_clip(
    path: Path,
    times: Sequence[float] | int = 10,
    *,
    size: tuple[int, int] = (64, 48),
    fps: Fraction | int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    sound: NDArray[np.int16] | None = None,
    sound_codec: str = "aac",
    images: Sequence[Pixels] | None = None,
    base: Fraction = Fraction(1, 90000),
) -> Path:
    """Write a video of numbered pictures (or `images`) shown at `times` seconds, or so many at `fps`."""
    if isinstance(times, int):
        times = [float(n / Fraction(fps)) for n in range(times)]
    with av.open(str(path), "w") as container:
        defaults = {"crf": "18", "threads": "1"} if codec == "libx264" else {}
        video: Any = container.add_stream(codec, rate=Fraction(fps), options={**defaults, **(options or {})})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base = base if codec not in ("mpeg4", "gif") else Fraction(1) / Fraction(fps)
        audio: Any = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=48000, layout="mono")
        for n, time in enumerate(times):
            image = picture(n, *size) if images is None else images[n]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format=pix_fmt)
            frame.time_base = video.codec_context.time_base
            frame.pts = round(time / frame.time_base)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            _write_sound(container, audio, sound)
    return path


def _write_sound(container: Any, stream: Any, samples: NDArray[np.int16]) -> None:
    fifo = av.AudioFifo()
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = 48000, 0
    context = stream.codec_context
    resampler = av.AudioResampler(format=context.format, layout="mono", rate=48000)
    for resampled in resampler.resample(frame):
        fifo.write(resampled)
    size = context.frame_size or 1024
    while (part := fifo.read(size) or (fifo.samples and fifo.read(fifo.samples))) is not None and part:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def rotate(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write (a, b, c, d) into the track header of an MP4 file as its display matrix (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 52 if data[at] == 1 else 40
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
