"""The sound of a video, brought along into another: copied where MP4 takes its codec, else as AAC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.packet import Packet

from posetrack.remote import RemoteFile, is_remote

__all__ = ["Sound"]

_AAC_FRAME = 1024
"""Samples: AAC is encoded in frames of this many."""
_FITS_MP4 = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})


class Sound:
    """The first sound track of `path` from `start` to `end` seconds, so that `start` becomes 0, for `output`.

    `pump(until)` muxes the packets that begin before `until` seconds of the output. A file without sound
    gives nothing; sound that cannot be read further ends there with a warning in `warnings`.
    """

    def __init__(self, path: str, output: Any, start: float, end: float | None, warnings: list[str]) -> None:
        self._path, self._output, self._start, self._end = path, output, start, end
        self._warnings = warnings
        self._next: tuple[float, Packet[Any]] | None = None
        self._packets: Iterator[tuple[float, Packet[Any]]] = iter(())
        self._source: Any = None
        try:
            self._source = av.open(RemoteFile(path) if is_remote(path) else path, metadata_errors="replace")
            track = next(iter(self._source.streams.audio), None)
            if track is not None and track.codec_context is not None:
                self._packets = self._prepare(track)
        except (FFmpegError, ValueError) as error:
            self._warn(error)

    def pump(self, until: float | None) -> None:
        """Mux what begins before `until` seconds of the output; None for all that is left."""
        try:
            while (self._next or self._advance()) and self._next is not None:
                if until is not None and self._next[0] >= until:
                    return
                packet, self._next = self._next[1], None
                self._output.mux(packet)
        except UnreadableSound as error:
            self._warn(error)

    def close(self) -> None:
        """Close the file that the sound comes from."""
        if self._source is not None:
            self._source.close()

    def _warn(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self._warnings.append(f"{self._path}: its sound cannot be brought along further ({reason})")
        self._packets, self._next = iter(()), None

    def _advance(self) -> bool:
        self._next = next(self._packets, None)
        return self._next is not None

    def _prepare(self, track: Any) -> Iterator[tuple[float, Packet[Any]]]:
        begin = Fraction(self._source.start_time or 0, av.time_base) + Fraction(self._start)
        name = track.codec_context.name
        if name in _FITS_MP4:
            return self._copied(track, self._output.add_stream_from_template(track), begin)
        self._warnings.append(f"{self._path}: MP4 players don't know its sound ({name}); it is written as AAC")
        rate = track.codec_context.sample_rate
        rate = rate if rate in (av.Codec("aac", "w").audio_rates or ()) else 48000
        layout = "mono" if track.codec_context.channels == 1 else "stereo"
        aac = self._output.add_stream("aac", rate=rate, layout=layout)
        return self._encoded(track, aac, begin)

    def _copied(self, track: Any, copy: Any, begin: Fraction) -> Iterator[tuple[float, Packet[Any]]]:
        shift, last = round(begin / track.time_base), None
        for packet in _readable(self._source.demux(track)):
            if packet.dts is None or packet.pts is None or (last is not None and packet.dts <= last):
                continue
            last = packet.dts
            time = float((packet.pts - shift) * track.time_base)
            if self._ends(time):
                return
            if time + float((packet.duration or 0) * track.time_base) <= 0 and self._start > 0:
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            yield time, packet

    def _encoded(self, track: Any, aac: Any, begin: Fraction) -> Iterator[tuple[float, Packet[Any]]]:
        context = aac.codec_context
        resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, _AAC_FRAME)
        for decoded in _readable(self._source.decode(track)):
            if decoded.pts is None:
                continue
            time = float(decoded.pts * decoded.time_base - begin)
            if self._ends(time):
                break
            if time + decoded.samples / decoded.sample_rate <= 0:
                continue
            decoded.pts = max(0, round(time * decoded.sample_rate))
            decoded.time_base = Fraction(1, decoded.sample_rate)
            yield from _timed(aac, resampler.resample(decoded))
        yield from _timed(aac, [*resampler.resample(None), None])

    def _ends(self, time: float) -> bool:
        return self._end is not None and time >= self._end - self._start


class UnreadableSound(Exception):
    """Sound that stops decoding or demuxing on the way; it never leaves this room."""


def _readable(things: Iterator[Any]) -> Iterator[Any]:
    """The same, with FFmpeg's errors told from those of the output."""
    while True:
        try:
            thing = next(things)
        except StopIteration:
            return
        except FFmpegError as error:
            raise UnreadableSound(error.strerror) from error
        yield thing


def _timed(aac: Any, frames: Sequence[AudioFrame | None]) -> Iterator[tuple[float, Packet[Any]]]:
    for frame in frames:
        for packet in aac.encode(frame):
            yield float((packet.pts or 0) * packet.time_base), packet
