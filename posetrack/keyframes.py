"""Pictures at which decoding can begin, told by their own bytes: flags of a container can lie.

A picture is CLOSED when nothing from it on, in the order of the packets, refers to what came before; OPEN when
that holds for what is shown from it on, but not for the pictures shown before it that come after it in the file
(leading pictures). What cannot be told is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["CLOSED", "KNOWN", "OPEN", "entry_kind", "is_hidden"]

OPEN, CLOSED = "open", "closed"


def entry_kind(codec: str, data: bytes, extradata: bytes) -> str | None:
    """OPEN, CLOSED or None for the packet `data` of a stream of `codec`, whose header is `extradata`.

    KeyError for a codec that is not in `KNOWN`.
    """
    return KNOWN[codec](data, extradata)


def is_hidden(codec: str, packet: Any) -> bool:
    """Whether a packet's picture is never shown, only referred to (RFC 6386, 9.1: show_frame is 0)."""
    return codec == "vp8" and not memoryview(packet)[0] >> 4 & 1


def _h264(data: bytes, extradata: bytes) -> str | None:
    """ITU-T H.264: IDR pictures (nal_unit_type 5); exact recovery points (D.2.8) that recover at once.

    Where parameter sets come between the pictures (Annex B), they have to be here too.
    """
    has_sets = extradata[:1] == b"\1"
    recovers = False
    for nal in _nal_units(data, extradata, 4):
        kind = nal[0] & 31
        has_sets |= kind == 7
        recovers |= kind == 6 and _recovers_at_once(nal[1:])
        if kind in (1, 2, 5):
            return None if not has_sets else CLOSED if kind == 5 else OPEN if recovers else None
    return None


def _recovers_at_once(sei: bytes) -> bool:
    """Whether a recovery point message has recovery_frame_cnt 0 (one bit, 1) and exact_match_flag 1."""
    sei = sei.replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(sei):
        kind, at = _sei_number(sei, at)
        size, at = _sei_number(sei, at)
        if kind == 6:
            return at < len(sei) and sei[at] >> 6 == 3
        at += size
    return False


def _sei_number(sei: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(sei) and sei[at] == 255:
        value, at = value + 255, at + 1
    return (value + sei[at], at + 1) if at < len(sei) else (value, at)


def _hevc(data: bytes, extradata: bytes) -> str | None:
    """ITU-T H.265, table 7-1: IDR (19, 20) and CRA pictures (21), with the parameter sets as in H.264."""
    has_sets = extradata[:1] == b"\1"
    for nal in _nal_units(data, extradata, 21):
        kind = nal[0] >> 1 & 63
        has_sets |= kind == 33
        if kind < 32:
            return None if not has_sets else CLOSED if kind in (19, 20) else OPEN if kind == 21 else None
    return None


def _nal_units(data: bytes, extradata: bytes, length_at: int) -> Iterator[bytes]:
    """The first 1,000 bytes of each unit: behind lengths (ISO 14496-15) or start codes (Annex B)."""
    if extradata[:1] == b"\1" and len(extradata) > length_at:
        width, at = (extradata[length_at] & 3) + 1, 0
        while at + width < len(data):
            length = int.from_bytes(data[at : at + width], "big")
            at += width
            yield data[at : at + min(length, 1000)] or b"\0"
            at += length
        return
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        end = data.find(b"\0\0\1", at + 3)
        yield data[at + 3 : min(at + 1003, len(data) if end < 0 else end)] or b"\0"
        at = end


def _vp8(data: bytes, extradata: bytes) -> str | None:
    """RFC 6386, 9.1: the lowest bit of a key frame is 0; it renews all three references."""
    return CLOSED if data and not data[0] & 1 else None


def _vp9(data: bytes, extradata: bytes) -> str | None:
    """VP9, 6.2: frame_marker 2, profile, (a reserved bit in profile 3), show_existing_frame 0, frame_type 0."""
    bits = f"{data[0]:08b}" if data else ""
    at = 5 if bits[2:4] == "11" else 4
    return CLOSED if bits[:2] == "10" and bits[at : at + 2] == "00" else None


def _av1(data: bytes, extradata: bytes) -> str | None:
    """AV1, 5.9.2: a frame with show_existing_frame 0, frame_type 0 (key) and show_frame 1, after a sequence header."""
    at, has_sequence = 0, False
    while at < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        size, at = _leb128(data, at) if sized else (len(data) - at, at)
        has_sequence |= kind == 1
        if kind in (3, 6):
            return CLOSED if has_sequence and at < len(data) and data[at] >> 4 == 1 else None
        at += size
    return None


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for k, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    return len(data), at


def _mpeg2(data: bytes, extradata: bytes) -> str | None:
    """ISO 13818-2, 6.2: a sequence header (which resets the matrices) and an I picture."""
    at = data.find(b"\0\0\1\0")
    return OPEN if 0 <= data.find(b"\0\0\1\xb3") < at < len(data) - 5 and data[at + 5] >> 3 & 7 == 1 else None


def _mpeg4(data: bytes, extradata: bytes) -> str | None:
    """ISO 14496-2, 6.2.5: a VOP with vop_coding_type 0 (intra)."""
    at = data.find(b"\0\0\1\xb6")
    return OPEN if 0 <= at < len(data) - 4 and data[at + 4] >> 6 == 0 else None


def _ffv1(data: bytes, extradata: bytes) -> str | None:
    """RFC 9043, 3.8.1 and 4.4: the first symbol, coded with even chances, is 1 in a key frame."""
    return CLOSED if int.from_bytes(data[:2], "big") >= 0x7F80 else None


def _intra(data: bytes, extradata: bytes) -> str | None:
    """Codecs that know no other pictures than whole ones."""
    return CLOSED


KNOWN: dict[str, Callable[[bytes, bytes], str | None]] = {
    "h264": _h264, "hevc": _hevc, "vp8": _vp8, "vp9": _vp9, "av1": _av1, "mpeg1video": _mpeg2, "mpeg2video": _mpeg2,
    "mpeg4": _mpeg4, "ffv1": _ffv1, "mjpeg": _intra, "prores": _intra, "dnxhd": _intra, "dvvideo": _intra,
    "jpeg2000": _intra, "huffyuv": _intra, "ffvhuff": _intra, "utvideo": _intra, "rawvideo": _intra, "png": _intra,
}  # fmt: skip
"""By FFmpeg's names of codecs; for all others nobody can say here where decoding can begin."""
