"""Where pictures come from: what a source is, folders of pictures, cameras, and live sources of any kind.

A source has `info`, `warnings`, `close()` and gives `Raw` pictures: a time, how long it is shown, and a way
to have it as RGB. What is dropped is never converted. Video files are in `media`; `video` makes frames.
"""

from __future__ import annotations

import itertools
import re
import threading
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from posetrack.errors import InputError
from posetrack.remote import read_bytes
from posetrack.types import Image

__all__ = [
    "PICTURES_PER_SECOND", "PICTURE_SUFFIXES", "CameraSource", "LiveSource", "PictureSource", "Raw", "RawSource",
    "VideoInfo", "natural_order",
]  # fmt: skip

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"})
PICTURES_PER_SECOND = 25.0
"""Pictures of a folder carry no time; they are shown at the rate that FFmpeg assumes for them too."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is read to its end.

    `width`, `height`: of the upright picture; `coded_width`, `coded_height`: as it is stored. `rotation`:
    degrees clockwise from stored to upright; `mirrored`: it is flipped as well. `fps`: nominal frames a
    second. `duration` in seconds and `frames_estimate` are what the file says of itself, None where it
    doesn't. `pixel_aspect`: width of a pixel by its height. `kind`: file, pictures or live.
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


class PictureSource:
    """Pictures (paths or fsspec's URLs) in natural order, shown at 25 a second; EXIF orientation is honoured.

    Raises InputError that names the picture that cannot be read or has another size than the first.
    """

    def __init__(self, path: str, files: Sequence[Path | str]) -> None:
        if not files:
            raise InputError(f"{path}: there are no pictures in it; name a folder of pictures or a video file")
        self.warnings: list[str] = []
        self._files = sorted(files, key=natural_order)
        height, width = _read_picture(self._files[0]).shape[:2]
        self.info = VideoInfo(
            path=path, width=width, height=height, fps=PICTURES_PER_SECOND,
            duration=len(files) / PICTURES_PER_SECOND, frames_estimate=len(files), kind="pictures",
            codec=Path(self._files[0]).suffix.lower().lstrip("."), coded_width=width, coded_height=height,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Raw]:
        return self.part(0, len(self._files))

    def part(self, first: int, stop: int) -> Iterator[Raw]:
        """The pictures numbered `first` to before `stop`."""
        for n, file in enumerate(self._files[first:stop], first):
            yield Raw(n, n / PICTURES_PER_SECOND, 1 / PICTURES_PER_SECOND, self._converter(file))

    def close(self) -> None:
        """Nothing is held open between pictures."""

    def _converter(self, file: Path | str) -> Callable[[], Image]:
        return lambda: self._read(file)

    def _read(self, file: Path | str) -> Image:
        image = _read_picture(file)
        height, width = image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise InputError(
                f"{file}: it is {width}x{height}, those before it {self.info.width}x{self.info.height}; "
                "keep pictures of one size in a folder"
            )
        return image


def _read_picture(file: Path | str) -> Image:
    try:
        data = np.fromfile(file, np.uint8) if isinstance(file, Path) else np.frombuffer(read_bytes(file), np.uint8)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path and its rights") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{file}: this picture cannot be read; take it out or save it again")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


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
        self.info, self.warnings = replace(source.info, kind="live"), source.warnings
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
                    self._changed.wait(timeout=0.5)  # not for ever: Windows would hold Ctrl-C back
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
