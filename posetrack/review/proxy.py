"""A video that the browser plays: the file itself, or a copy made once in a codec that every browser has."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import platformdirs

from posetrack.blocks import ahead
from posetrack.errors import FormatError, InputError, PosetrackError
from posetrack.results.lines import Header
from posetrack.sources import VideoInfo
from posetrack.types import Image
from posetrack.video import VideoWriter, has_variable_rate, open_video

__all__ = ["Film", "find_video", "media_type", "proxy_folder"]

_MOST = 1920
"""Pixels of a proxy's longer side: it is for looking at, and the page scales what it draws."""

_PLAYED = {
    "video/mp4": ({".mp4", ".m4v", ".mov"}, {"h264", "vp9", "av1"}),
    "video/webm": ({".webm"}, {"vp8", "vp9", "av1"}),
    "video/ogg": ({".ogv", ".ogg"}, {"theora"}),
}
_DEPTH_8 = {"yuv420p", "yuvj420p"}


def find_video(tracks: Path, header: Header, given: str | None = None) -> str | None:
    """The video that `tracks` was made of: the one `given`, else what the header names, beside the tracks or here.

    None when there is none to be found, or it was live. InputError when the one given cannot be read, FormatError when
    its pictures are of another size than the header says.
    """
    name = str(header.video.get("path") or "")
    near = [folder / name for folder in (tracks.parent, Path()) if name and "://" not in name]
    video = given or next((str(path) for path in near if path.exists() and path.resolve() != tracks.resolve()), None)
    if video is None:
        return None
    try:
        with open_video(video) as reader:
            info = reader.info
    except InputError:
        if given:
            raise
        return None  # what was found is no video: poses tracked without one name their own file
    said = header.video.get("width"), header.video.get("height")
    if None not in said and said != (info.width, info.height):
        raise FormatError(
            f"{tracks} was made of a video of {said[0]}x{said[1]} pixels, {video} has {info.width}x{info.height}; "
            "give the video that it was made of"
        )
    return video


def media_type(info: VideoInfo) -> str | None:
    """The media type under which browsers play a video file as it is; None when they don't.

    Nor are files taken in which a browser does not find every single frame: those with B-frames at a variable rate.
    """
    suffix = Path(info.path).suffix.lower()
    if info.kind != "file" or "://" in info.path or info.pixel_format not in _DEPTH_8:
        return None
    kind = next((kind for kind, (ends, codecs) in _PLAYED.items() if suffix in ends and info.codec in codecs), None)
    return None if kind and _has_b_frames(info.path) and has_variable_rate(info.path) else kind


def _has_b_frames(video: str) -> bool:
    with av.open(video) as container:
        stream: Any = container.streams.video[0]
        return bool(stream.codec_context.has_b_frames)


def proxy_folder() -> Path:
    """Where proxies lie: POSETRACK_HOME/proxies, else the platform's cache folder."""
    if home := os.environ.get("POSETRACK_HOME"):
        return Path(home).expanduser() / "proxies"
    return platformdirs.user_cache_path("posetrack", appauthor=False) / "proxies"


@dataclass(frozen=True)
class _Played:
    """A file that the browser can be given."""

    file: Path
    kind: str
    begins: float = 0.0
    """Seconds: what the browser's clock shows at time 0 of the tracks."""


class Film:
    """The video beside the tracks, as the browser gets it; None: there is none.

    A proxy is made in a thread of its own where it is needed, and found again the next time.
    """

    def __init__(self, video: str | None) -> None:
        self._video = video
        self._share: float | None = None
        self._note = "" if video else "There is no video here: give it as posetrack review TRACKS VIDEO"
        self._played: _Played | None = None
        self._lock = threading.Lock()
        self._is_proxy = False
        if video is not None:
            with open_video(video) as reader:
                kind = media_type(reader.info)
            if kind:
                self._played = _Played(Path(video), kind, _begins(video))
            else:
                self.make_proxy()

    @property
    def played(self) -> tuple[Path, str] | None:
        """The file to give to the browser and its media type; None as long as there is none."""
        return (self._played.file, self._played.kind) if self._played else None

    def record(self) -> dict[str, Any]:
        """What the page is told: kind none (with a note), making (share, 0 to 1) or ready (begins, seconds)."""
        if self._played:
            return {"kind": "ready", "begins": self._played.begins}
        if self._share is not None:
            return {"kind": "making", "share": round(self._share, 3)}
        return {"kind": "none", "note": self._note}

    def make_proxy(self) -> None:
        """Begin to make the proxy, or take the one that was made before; nothing when it is there or on its way."""
        with self._lock:
            if self._video is None or self._is_proxy:
                return
            self._is_proxy, self._played = True, None
            target = proxy_folder() / _proxy_name(Path(self._video))
            if target.is_file():
                self._played = _Played(target, "video/mp4")
                return
            self._share = 0.0
            threading.Thread(target=self._make, args=(self._video, target), name="proxy", daemon=True).start()

    def _make(self, video: str, target: Path) -> None:
        try:
            self._write(video, target)
            self._played = _Played(target, "video/mp4")
        except (PosetrackError, OSError) as error:
            self._note = f"The video cannot be shown: {' '.join(str(error).split())}"
        finally:
            self._share = None

    def _write(self, video: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        mine = target.with_name(f"{os.getpid()}-{target.name}")  # two programs may make the same one
        with open_video(video) as reader:
            info = _shrunk(reader.info)
            expected = reader.frames_expected or 0
            with VideoWriter.like(info, mine, overwrite=True) as writer:
                for n, frame in enumerate(ahead(reader, 8)):
                    writer.write(_scaled(frame.image, info), frame.time)
                    self._share = min(0.999, n / expected) if expected else 0.0
                writer.last_frame_ends = reader.end
        with suppress(FileNotFoundError):
            os.replace(mine, target)


def _begins(video: str) -> float:
    """When a file's container starts: posetrack counts from there, browsers from an earlier zero."""
    with av.open(video) as container:
        return max(0.0, (container.start_time or 0) / av.time_base)


def _proxy_name(video: Path) -> str:
    """The name of a video's proxy, by where it lies, its size and when it was changed."""
    found = video.stat() if video.exists() else None
    changed = (found.st_size, found.st_mtime_ns) if found else ()
    key = hashlib.sha256(repr((str(video.resolve()), changed, _MOST)).encode()).hexdigest()[:16]
    return f"{video.stem[:40].strip('.*?') or 'video'}-{key}.mp4"


def _shrunk(info: VideoInfo) -> VideoInfo:
    scale = min(1.0, _MOST / max(info.width, info.height))
    width, height = (2 * max(1, round(side * scale / 2)) for side in (info.width, info.height))
    return replace(info, width=width, height=height)


def _scaled(image: Image, info: VideoInfo) -> Image:
    height, width = image.shape[:2]
    if (width, height) == (info.width, info.height):
        return image
    return np.asarray(cv2.resize(image, (info.width, info.height), interpolation=cv2.INTER_AREA), np.uint8)
