"""What paths are drawn over: a picture of the video, with the people gone from it where the camera stands still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from posetrack.errors import FormatError, InputError
from posetrack.media import MediaSource
from posetrack.results.trajectories import Trajectories
from posetrack.types import Image
from posetrack.video import open_video

__all__ = ["BACKGROUNDS", "Background", "find_video", "picture_size", "read_background"]

Background = Literal["auto", "median", "frame", "none"]
BACKGROUNDS: tuple[Background, ...] = ("auto", "median", "frame", "none")

_PICTURES = 9
_STILL = 6.0
"""Levels of 255 that half of a picture may differ from the median picture for the camera to count as still."""
_STAYING = 0.02
"""Share of the picture."""
_COARSE = 100
_LONGEST_WAY = 600
"""Frames that are decoded from a key frame to a time before what is there is taken."""


def find_video(tracks_path: Path, tracks: Trajectories) -> str | None:
    """The video that tracks were made of, if it lies beside them or in the current folder; no address is opened."""
    name = str(tracks.header.video.get("path") or "")
    if not name or "://" in name:
        return None
    return next((str(folder / name) for folder in (tracks_path.parent, Path()) if (folder / name).exists()), None)


def picture_size(tracks: Trajectories) -> tuple[int, int]:
    """Width and height of the picture; without them in the header, the bounds of all boxes."""
    width, height = (tracks.header.video.get(side) for side in ("width", "height"))
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    corners = np.concatenate([np.zeros((1, 4), np.float32), *(person.boxes for person in tracks.people)])
    right, bottom = np.ceil(corners[:, 2:].max(axis=0)).astype(int)
    return max(int(right), 16), max(int(bottom), 16)


def read_background(video: str, tracks: Trajectories, rows: NDArray[np.int64], kind: Background, where: str) -> Image:
    """A picture, (H, W, 3) uint8 RGB, of the `video` of `tracks` from the first to the last of its frames in `rows`.

    `frame` is the one in the middle; `median` the median of nine, in which what moves is gone; `auto` is `median`
    where the camera stands still and hardly anybody stays in one place (which would leave a ghost), else `frame`.
    InputError for what is no video, FormatError that begins with `where` when it is not of the size of `tracks`.
    """
    with open_video(video) as reader:
        info = reader.info
    if info.kind == "live":
        raise InputError(f"{video}: a live source has no earlier pictures; name the recorded video")
    if (info.width, info.height) != picture_size(tracks):
        said = "x".join(map(str, picture_size(tracks)))
        raise FormatError(
            f"{where} was made of a video of {said} pixels, {video} has {info.width}x{info.height}; "
            "give the video that it was made of"
        )
    if kind == "auto":
        kind = "frame" if _somebody_stays(tracks, _spread(rows, _PICTURES)) else "auto"
    times = [float(tracks.times[row]) for row in _spread(rows, 1 if kind == "frame" else _PICTURES)] or [0.0]
    pictures = list(_from_pictures(video, times) if info.kind == "pictures" else _from_file(video, times))
    if not pictures:
        raise InputError(f"{video}: no picture can be read between {times[0]:.2f} and {times[-1]:.2f} s")
    middle = pictures[len(pictures) // 2]
    if kind == "frame" or len(pictures) < 3:
        return middle
    median = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return median if kind == "median" or _stands_still(pictures, median) else middle


def _spread(rows: NDArray[np.int64], count: int) -> list[int]:
    """`count` of the rows, evenly spread and each in the midst of its share; fewer where there are fewer."""
    if not len(rows):
        return []
    chosen = (np.arange(count) + 0.5) / count * len(rows)
    return [int(row) for row in rows[np.unique(chosen.astype(int))]]


def _somebody_stays(tracks: Trajectories, rows: Sequence[int]) -> bool:
    """Whether boxes hide more than a bit of the picture in half of the frames, so that a median shows people."""
    width, height = picture_size(tracks)
    hidden = np.zeros((_COARSE, _COARSE))
    for row in rows:
        here = np.zeros((_COARSE, _COARSE), np.bool_)
        for person in tracks.people:
            for x1, y1, x2, y2 in person.boxes[person.rows == row] / (width, height, width, height) * _COARSE:
                here[max(0, round(y1)) : max(0, round(y2)), max(0, round(x1)) : max(0, round(x2))] = True
        hidden += here
    return bool((2 * hidden >= len(rows)).mean() > _STAYING) if rows else False


def _stands_still(pictures: Sequence[Image], median: Image) -> bool:
    return all(float(np.median(cv2.absdiff(picture, median))) <= _STILL for picture in pictures)


def _from_pictures(folder: str, wanted: Sequence[float]) -> Iterator[Image]:
    with open_video(folder) as reader:
        waiting = list(wanted)
        for frame in reader:
            if frame.time >= waiting[0] - 1e-6:
                yield frame.image
                waiting.pop(0)
            if not waiting:
                return


def _from_file(path: str, wanted: Sequence[float]) -> Iterator[Image]:
    """The pictures shown at about the `wanted` times, by way of the key frames before them."""
    with closing(MediaSource(path)) as media:
        for time in wanted:
            picture = _picture_at(media, time)
            if picture is not None:
                yield media.converter(picture)()


def _picture_at(media: MediaSource, time: float) -> VideoFrame | None:
    start = (media.container.start_time or 0) / av.time_base
    picture = None
    try:
        media.container.seek(round((time + start) / (media.stream.time_base or 1)), stream=media.stream)
        for n, decoded in enumerate(media.container.decode(media.stream)):
            picture = decoded
            if decoded.time is None or decoded.time - start >= time - 1e-3 or n >= _LONGEST_WAY:
                break
    except FFmpegError:
        return picture  # what could be decoded before the damage
    return picture
