"""Any part of a video as a decode from the start gives it: the same numbers, times and pixels.

    index = build_index("clip.mp4")                # once: packets are read, nothing is decoded
    with BlockReader("clip.mp4", index) as reader:  # in any process that sees the file
        frames = reader.read(range(160, 176))

The table promises which frames there are; every frame that is decoded must keep that promise, or `Inexact` is
raised. Whoever takes blocks in order and stops at the first that fails has only right ones.
"""

from __future__ import annotations

import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from posetrack.errors import InputError
from posetrack.keyframes import CLOSED, KNOWN, entry_kind, is_hidden
from posetrack.media import RESIZED, Clock, MediaSource, open_container, picture_stream
from posetrack.sources import PICTURES_PER_SECOND, PictureSource, Raw

__all__ = ["EARLY", "Entry", "FrameIndex", "Inexact", "Parts", "index_of", "parts_of"]

EARLY = 1e-6
"""Seconds: a frame this little before `start` or `end` counts as there (3.003 is not exact in binary)."""
_REORDER = 33
"""Pictures: none is shown so many places from where it is stored (H.264 and H.265 hold 16 back)."""
_STEPS_BACK = (1, 4, 16)
"""Seconds before a key frame to look for it from, where an index leads beside it."""


class Inexact(InputError):
    """A part of a video does not decode to what its table promises, so only a decode from the start can give it."""


NO_TIME = -(2**63)
"""FFmpeg's AV_NOPTS_VALUE."""


class Entry(NamedTuple):
    """A picture at which decoding can begin: all frames from number `first` on come right.

    The picture itself is known by its time in `ticks`, its `size` in bytes and their `crc`; `dts` may be NO_TIME.
    """

    first: int
    ticks: int
    dts: int
    size: int
    crc: int


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a video: `times` (N,) float64 seconds, `ticks` (N,) int64 as the container counts.

    `entries` (K, 5) int64, the fields of `Entry`, are where decoding can begin, in order; there are none where each
    picture can be read alone. `delays` (N,) uint8: all that frame n may refer to is shown by n + delays[n]. It is small
    and can be pickled.
    """

    times: NDArray[np.float64]
    ticks: NDArray[np.int64]
    entries: NDArray[np.int64]
    delays: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Numbers of the frames from which decoding can begin, (K,) int64, ascending."""
        return self.entries[:, 0] if len(self.entries) else np.arange(len(self.times))

    def lead(self, number: int) -> int:
        """About how many frames have to be decoded before frame `number` is there."""
        keys = self.keys
        return number - int(keys[max(0, int(np.searchsorted(keys, number, "right")) - 1)])

    def numbers(self, start: float | None = None, end: float | None = None, stride: int = 1) -> range:
        """The numbers of the frames from `start` to before `end` (seconds), each `stride`-th."""
        first = 0 if start is None else int(np.searchsorted(self.times, start - EARLY))
        stop = len(self.times) if end is None else int(np.searchsorted(self.times, end - EARLY))
        return range(first, max(first, stop), stride)


# -- making the table ------------------------------------------------------------------------------------------------


class _Packets:
    """What is kept of the packets of a video, in the order of the file."""

    def __init__(self) -> None:
        self.ticks, self.dts = array("q"), array("q")
        self.shown = bytearray()
        self.entries: list[tuple[int, str, int, int]] = []
        """Of those at which decoding can begin: number of the packet, kind, size and crc."""

    def note(self, packet: Any, ticks: int, codec: str, extradata: bytes) -> None:
        """Keep what is of use of the next one."""
        if packet.is_keyframe:
            data = bytes(packet)
            if kind := entry_kind(codec, data, extradata):
                self.entries.append((len(self.ticks), kind, len(data), zlib.crc32(data)))
        self.ticks.append(ticks)
        self.dts.append(NO_TIME if packet.dts is None else packet.dts)
        self.shown.append(not (packet.is_discard or is_hidden(codec, packet)))


def index_of(source: MediaSource | PictureSource) -> FrameIndex | str:
    """The table of a source's frames, or the reason in words why it cannot be read in parts.

    A video file is opened a second time and read through once; nothing but the first picture is decoded.
    """
    if isinstance(source, PictureSource):
        count = source.info.frames_estimate or 0
        numbers = np.arange(count)
        return FrameIndex(numbers / PICTURES_PER_SECOND, numbers, np.empty((0, 5), np.int64), np.zeros(count, np.uint8))
    codec = source.stream.codec_context.codec.canonical_name
    if codec not in KNOWN:
        return f"which {codec} pictures stand alone cannot be told"
    if source.clock.by_decoding and source.stream.codec_context.reorder_depth:
        return "it has B-frames, and AVI stores no presentation times"
    try:
        with open_container(source.info.path) as container:
            stream = picture_stream(source.info.path, container)
            packets = _read(container.demux(stream), codec, source)
    except FFmpegError as error:
        return f"it is damaged: reading stops early ({error.strerror})"
    return packets if isinstance(packets, str) else _table(source, packets)


def _read(demuxed: Iterator[Any], codec: str, source: MediaSource) -> _Packets | str:
    packets, extradata = _Packets(), bytes(source.stream.codec_context.extradata or b"")
    for packet in demuxed:
        ticks = source.clock.ticks(packet)
        if not packet.size and packet.dts is None:
            continue  # the end
        if not packet.size:
            return "empty pictures stand in it for repeated ones"
        if packet.is_corrupt:
            return "it is damaged"
        if ticks is None:
            return "some of its pictures have no time"
        packets.note(packet, ticks, codec, extradata)
    return packets


def _table(source: MediaSource, packets: _Packets) -> FrameIndex | str:
    """The table, unless the times of the packets don't tell in what order they are shown."""
    all_ticks, dts = (np.frombuffer(column, np.int64) for column in (packets.ticks, packets.dts))
    shown = all_ticks[np.frombuffer(packets.shown, np.bool_)]
    if len(shown) == 0:
        return "no picture of it has a time"
    order = np.argsort(shown, kind="stable")
    moved = int(np.abs(order - np.arange(len(order))).max())
    if moved > _REORDER or (np.diff(dts[dts != NO_TIME]) < 0).any():
        return "its times go back on the way, as where recordings were joined"
    ticks = shown[order]
    if (np.diff(ticks) <= 0).any():
        return "some of its pictures have the same time"
    entries = _entries(packets, all_ticks, ticks)
    if len(entries) == 0 or entries[0, 0] != 0:
        return "it begins in the middle of a group of pictures"
    if source.clock.ticks(source.first) != ticks[0]:
        return "its first picture is another than its times promise"
    if len(entries) == 1:
        return "its only key frame is the first"
    clock = Clock(source.container, source.stream, source.info.fps)
    times = np.array([clock.tick(each, None)[0] for each in ticks.tolist()], np.float64)
    if source.promised_beyond(float(times[-1]) + clock.duration(None)):
        return "it is cut short"
    newest = np.maximum.accumulate(np.argsort(order))  # number of the latest frame among those stored so far
    return FrameIndex(times, ticks, entries, (newest[order] - np.arange(len(order))).astype(np.uint8))


def _entries(packets: _Packets, all_ticks: NDArray[np.int64], ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where decoding can begin, (K, 5) in order: nothing that is stored before is shown from `first` on."""
    newest = np.maximum.accumulate(all_ticks)
    found = []
    for at, kind, size, crc in packets.entries:
        first = int(newest[at - 1]) + 1 if at else int(ticks[0])
        first = first if kind == CLOSED else max(first, packets.ticks[at])
        number = int(np.searchsorted(ticks, first))
        found.append(Entry(number, packets.ticks[at], packets.dts[at], size, crc))
    return np.array(found, np.int64).reshape(-1, 5)


# -- reading by it ---------------------------------------------------------------------------------------------------


Parts = Callable[[int, int], Iterator[Raw]]
"""The pictures numbered `first` to before `stop` of a source; Inexact where they aren't what its table promises."""


def parts_of(source: MediaSource | PictureSource, index: FrameIndex) -> Parts:
    """What gives parts of an opened source, in any order; neighbouring parts are read on without seeking."""
    return source.part if isinstance(source, PictureSource) else _PartDecoder(source, index).part


class _PartDecoder:
    """Decodes from the key frame before what is wanted, and holds what comes against the table."""

    def __init__(self, source: MediaSource, index: FrameIndex) -> None:
        self._source, self._index = source, index
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next = -1
        """The number of the frame that `_frames` would give, -1 where there is none."""
        self._resized = False

    def part(self, first: int, stop: int) -> Iterator[Raw]:
        """See `Parts`."""
        source = self._source
        for number in range(first, min(stop, len(self._index))):
            frame = self._frame(number)
            if source.is_resized(frame) and not self._resized:
                self._resized = True
                source.warnings.append(f"{source.info.path}: {RESIZED}")
            yield Raw(
                number, float(self._index.times[number]), source.clock.duration(frame.duration), source.converter(frame)
            )

    def _frame(self, number: int) -> VideoFrame:
        """Frame `number`, by reading on where that is the shorter way."""
        keys = self._index.keys
        nearest = int(np.searchsorted(keys, number, "right")) - 1
        if not 0 <= self._next <= number or self._next < keys[nearest]:
            return self._sought(nearest, number)
        return self._read_to(number)

    def _sought(self, nearest: int, number: int) -> VideoFrame:
        """Frame `number` from the key frame `nearest`, or from the one before it where that fails."""
        for row in self._index.entries[nearest::-1][:2].tolist():
            self._begin(Entry(*row))
            try:
                return self._read_to(number)
            except Inexact as error:
                failure = error
        raise failure

    def _begin(self, entry: Entry) -> None:
        self._frames, self._next = self._settled(self._checked(entry)), entry.first

    def _read_to(self, number: int) -> VideoFrame:
        try:
            for at, frame in self._frames:
                if at == number:
                    self._next = number + 1
                    return frame
            raise self._broken(number, "it ends early")
        except Inexact:
            self._next = -1
            raise

    def _settled(self, checked: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
        """The same frames, each when all that it may refer to is checked: damage is told where it is shown."""
        waiting: deque[tuple[int, int, VideoFrame]] = deque()
        for newest, frame in checked:
            waiting.append((newest + int(self._index.delays[newest]), newest, frame))
            while waiting and waiting[0][0] <= newest:
                yield waiting.popleft()[1:]

    def _checked(self, entry: Entry) -> Iterator[tuple[int, VideoFrame]]:
        """The frames from `entry.first` on with their numbers, each the one that the table promises."""
        ticks, number = self._index.ticks, entry.first
        for frame in self._decoded(entry):
            said = self._source.clock.ticks(frame)
            if number == entry.first and said is not None and said < ticks[number]:
                continue
            if number >= len(ticks) or said != ticks[number]:
                raise self._broken(number, "another picture comes")
            if frame.is_corrupt:
                raise self._broken(number, "it is damaged")
            yield number, frame
            number += 1

    def _decoded(self, entry: Entry) -> Iterator[VideoFrame]:
        """What decodes from the packet of `entry` on; leading pictures, which lack what they refer to, may fail."""
        packets, begin = self._packets_from(entry), self._index.ticks[entry.first]
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                raise self._broken(entry.first, f"reading stops early: {error.strerror}") from error
            if packet is None:
                return
            try:
                yield from self._source.stream.decode(packet)
            except FFmpegError as error:
                ticks = self._source.clock.ticks(packet)
                if ticks is None or ticks >= begin:
                    raise self._broken(entry.first, "a picture behind it does not decode") from error

    def _packets_from(self, entry: Entry) -> Iterator[Any]:
        """The packets from that of `entry` on, found by what is in it: an index may lead beside it."""
        container, stream = self._source.container, self._source.stream
        steps = [entry.ticks - round(seconds / (stream.time_base or 1)) for seconds in _STEPS_BACK]
        marks = [entry.ticks, entry.ticks if entry.dts == NO_TIME else entry.dts, *steps, int(self._index.ticks[0])]
        for mark in dict.fromkeys(marks):
            with suppress(FFmpegError):
                container.seek(mark, stream=stream)
                packets = container.demux(stream)
                for packet in packets:
                    ticks = self._source.clock.ticks(packet)
                    if ticks == entry.ticks and packet.size == entry.size and zlib.crc32(bytes(packet)) == entry.crc:
                        return chain([packet], packets)
                    if _is_beyond(packet, ticks, entry):
                        break
        raise self._broken(entry.first, "its key frame is not found")

    def _broken(self, number: int, why: str) -> Inexact:
        return Inexact(
            f"{self._source.info.path}: frame {number} is not what the packets promise ({why}); "
            "it can only be decoded from the start"
        )


def _is_beyond(packet: Any, ticks: int | None, entry: Entry) -> bool:
    """Whether the packet of `entry` cannot come any more."""
    if packet.dts is not None and entry.dts != NO_TIME and packet.dts > entry.dts:
        return True
    return bool(packet.is_keyframe and ticks is not None and ticks > entry.ticks)
