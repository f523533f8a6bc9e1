"""Parts of a video, in any order, are those of a decode from the start: numbers, times to the bit, pixels."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import Pixels, make_clip, number, picture, rotate
from hypothesis import given
from hypothesis import strategies as st

from posetrack.errors import InputError
from posetrack.keyframes import CLOSED, OPEN, entry_kind
from posetrack.types import Frame
from posetrack.video import BlockReader, FrameIndex, Inexact, build_index, open_video

LENGTH = 90
UNEVEN = np.cumsum(np.random.default_rng(1).choice([0.01, 0.04, 0.05, 0.2, 0.013], LENGTH)).tolist()


@cache
def moving(width: int = 128, height: int = 96) -> list[Pixels]:
    """Pictures of which each is made of the one before, as far as an encoder can tell; `number` reads them."""
    texture = np.random.default_rng(0).integers(60, 190, (height // 4 + 2, width // 4 + LENGTH, 3), np.uint8)
    wide = texture.repeat(4, 0).repeat(4, 1)
    images = [wide[n % 7 : n % 7 + height, 3 * n : 3 * n + width].copy() for n in range(LENGTH)]
    for n, image in enumerate(images):
        image[height // 3 : 2 * height // 3] = picture(n, width, height)[height // 3 : 2 * height // 3]
    return images


def clip(path: Path, codec: str, *, times: Sequence[float] | int = LENGTH, **options: Any) -> Path:
    size = options.setdefault("size", (128, 96))
    return make_clip(path, times, images=moving(*size), codec=codec, **options)


def same(frames: Sequence[Frame], others: Sequence[Frame]) -> bool:
    """Whether frames are the same in all that a frame has."""
    return [(f.index, f.time, f.image.tobytes()) for f in frames] == [
        (f.index, f.time, f.image.tobytes()) for f in others
    ]


def index_of(path: Path) -> FrameIndex:
    index = build_index(path)
    assert isinstance(index, FrameIndex), index
    return index


def plain(path: Any, **part: Any) -> list[Frame]:
    with open_video(path, **part) as video:
        return list(video)


def by_blocks(path: Path, index: FrameIndex, size: int = 16) -> list[Frame]:
    """All frames, by blocks in a random order."""
    starts = np.random.default_rng(0).permutation(np.arange(0, len(index), size))
    with BlockReader(path, index) as reader:
        blocks = [reader.read(range(start, min(start + size, len(index)))) for start in starts.tolist()]
    return sorted((frame for block in blocks for frame in block), key=lambda frame: frame.index)


X264 = "keyint=15:min-keyint=5:bframes=4:b-pyramid=normal"
X265 = "open-gop=1:keyint=15:min-keyint=5:log-level=none"
VPX = {"g": "15", "auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8", "deadline": "realtime"}
AVI = Fraction(1, 25)
SOUGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "closed groups.mp4": ("libx264", {"options": {"x264-params": X264}}),
    "closed groups.mov": ("libx264", {"options": {"x264-params": X264}}),
    "closed groups.mkv": ("libx264", {"options": {"x264-params": X264}}),
    "closed groups.ts": ("libx264", {"options": {"x264-params": X264}}),
    "closed groups.flv": ("libx264", {"options": {"x264-params": X264}, "base": Fraction(1, 1000)}),
    "open groups.mp4": ("libx264", {"options": {"x264-params": f"open-gop=1:{X264}"}}),
    "open groups.mkv": ("libx264", {"options": {"x264-params": f"open-gop=1:{X264}"}}),
    "open groups.ts": ("libx264", {"options": {"x264-params": f"open-gop=1:{X264}"}}),
    "open groups of discs.mp4": ("libx264", {"options": {"x264-params": f"open-gop=1:bluray-compat=1:ref=3:{X264}"}}),
    "interlaced.mp4": ("libx264", {"options": {"x264-params": f"interlaced=1:{X264}"}}),
    "no b-frames.avi": ("libx264", {"options": {"g": "15", "bf": "0"}, "base": AVI}),
    "variable rate.mp4": ("libx264", {"options": {"x264-params": X264}, "times": UNEVEN}),
    "variable rate.mkv": ("libx264", {"options": {"x264-params": f"open-gop=1:{X264}"}, "times": UNEVEN}),
    "ten bits.mkv": ("libx264", {"options": {"g": "15"}, "pix_fmt": "yuv420p10le"}),
    "hevc, open.mp4": ("libx265", {"options": {"x265-params": X265}}),
    "hevc, open.ts": ("libx265", {"options": {"x265-params": X265}}),
    "hevc, leading.mp4": ("libx265", {"options": {"x265-params": "open-gop=0:radl=2:keyint=15:log-level=none"}}),
    "vp8, alternate.webm": ("libvpx", {"options": VPX}),
    "vp9, alternate.webm": ("libvpx-vp9", {"options": VPX}),
    "mpeg4, b.mp4": ("mpeg4", {"options": {"g": "15", "bf": "2", "flags": "+qpel+mv4"}}),
    "mpeg4.avi": ("mpeg4", {"options": {"g": "15"}}),
    "mpeg2, open.mpg": ("mpeg2video", {"options": {"g": "12", "bf": "2"}, "base": AVI}),
    "mpeg2, open.ts": ("mpeg2video", {"options": {"g": "12", "bf": "2"}, "base": AVI}),
    "mpeg2, closed.mkv": (
        "mpeg2video", {"options": {"g": "12", "bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}, "base": AVI},
    ),
    "mpeg1.mpg": ("mpeg1video", {"options": {"g": "12", "bf": "2"}, "base": AVI}),
    "ffv1.mkv": ("ffv1", {"options": {"g": "15"}}),
    "motion jpeg.avi": ("mjpeg", {"pix_fmt": "yuvj420p", "base": AVI}),
    "prores.mov": ("prores_ks", {"pix_fmt": "yuv422p10le"}),
    "dnxhr.mov": ("dnxhd", {"pix_fmt": "yuv422p", "options": {"profile": "dnxhr_lb"}, "size": (256, 128)}),
    "huffyuv.avi": ("huffyuv", {"pix_fmt": "yuv422p", "base": AVI}),
    "uncompressed.avi": ("rawvideo", {"base": AVI}),
    "png.mov": ("png", {"pix_fmt": "rgb24"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUGHT)
def test_blocks_in_any_order_are_the_whole(name: str, tmp_path: Path) -> None:
    codec, options = SOUGHT[name]
    path = clip(tmp_path / name, codec, **options)
    index = index_of(path)
    whole = plain(path)
    assert len(index) == len(whole) == LENGTH
    assert len(index.keys) >= 5
    assert index.times.tolist() == [frame.time for frame in whole]
    assert same(by_blocks(path, index), whole)


@pytest.mark.skipif("libsvtav1" not in av.codecs_available, reason="this FFmpeg writes no AV1")
def test_blocks_of_av1_are_the_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = clip(tmp_path / "clip.mp4", "libsvtav1", options={"g": "20", "preset": "10"})
    assert same(by_blocks(path, index_of(path)), plain(path))
    capfd.readouterr()  # its encoder talks


def test_the_whole_is_what_one_thread_of_the_decoder_alone_gives(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", "libx264", options={"x264-params": f"open-gop=1:{X264}"})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        pixels = [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(stream)]
    assert [frame.image.tobytes() for frame in by_blocks(path, index_of(path), 7)] == pixels


NOT_SOUGHT: dict[str, tuple[str, dict[str, Any], str]] = {
    "b-frames.avi": ("libx264", {"options": {"g": "15", "bf": "2"}, "base": AVI}, "AVI stores no presentation times"),
    "one group.mp4": ("libx264", {"options": {"g": "999"}}, "only key frame is the first"),
    "refreshed.mp4": ("libx264", {"options": {"x264-params": "intra-refresh=1:keyint=15"}}, "only key frame"),
    "no container.h264": ("libx264", {"options": {"g": "15"}}, "have no time"),
    "windows media.asf": ("wmv2", {"base": AVI}, "which wmv2 pictures stand alone"),
    "animated.gif": ("gif", {"pix_fmt": "rgb8"}, "which gif pictures stand alone"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_SOUGHT)
def test_where_no_table_can_be_trusted_the_reason_is_told(name: str, tmp_path: Path) -> None:
    codec, options, reason = NOT_SOUGHT[name]
    assert reason in str(build_index(clip(tmp_path / name, codec, **options)))


# -- what containers do ----------------------------------------------------------------------------------------------


def remux(source: Path, target: Path, change: Any, **muxing: str) -> Path:
    """Copy packets, each changed or (None) left out, into another container."""
    with av.open(str(source)) as container, av.open(str(target), "w", options=muxing) as copy:
        track = container.streams.video[0]
        stream = copy.add_stream_from_template(track)
        for n, packet in enumerate(container.demux(track)):
            if packet.dts is not None and (changed := change(n, packet)) is not None:
                changed.stream = stream
                copy.mux(changed)
    return target


@pytest.mark.parametrize("bframes", [0, 3])
@pytest.mark.parametrize("hidden", [3, 17])
def test_edit_lists_are_kept(hidden: int, bframes: int, tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", "libx264", options={"g": "15", "bf": str(bframes)})

    def earlier(n: int, packet: Any) -> Any:
        shift = round(Fraction(hidden, 25) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    path = remux(whole, tmp_path / "cut.mp4", earlier)
    frames = plain(path)
    assert [number(frame.image) for frame in frames] == list(range(hidden, LENGTH))
    assert same(by_blocks(path, index_of(path)), frames)


BROKEN: dict[str, tuple[str, dict[str, str], Any]] = {
    "in fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}, None),
    "in fragments of a frame.mp4": ("libx264", {"movflags": "frag_every_frame+empty_moov"}, None),
    "without cues.mkv": ("libx264", {"live": "1"}, None),
    "damaged cues.mkv": ("libx264", {}, lambda data: _wipe(data, data.rindex(b"\x1c\x53\xbb\x6b"))),
    "without index.avi": ("mpeg4", {}, lambda data: data[: data.rindex(b"idx1")]),
    "lying index.avi": ("mpeg4", {}, lambda data: _all_keys(data, data.rindex(b"idx1"))),
}


def _wipe(data: bytes, at: int) -> bytes:
    return data[:at] + b"\xec" + bytes(len(data) - at - 1)


def _all_keys(data: bytes, at: int) -> bytes:
    index = bytearray(data[at + 8 :])
    index[4::16] = b"\x10" * len(index[4::16])  # AVIIF_KEYFRAME in every entry
    return data[: at + 8] + bytes(index)


@pytest.mark.parametrize("name", BROKEN)
def test_indexes_that_are_absent_or_broken_are_done_without(name: str, tmp_path: Path) -> None:
    codec, muxing, damage = BROKEN[name]
    options = {"g": "15"} if codec == "mpeg4" else {"x264-params": f"open-gop=1:{X264}"}
    base = AVI if codec == "mpeg4" else Fraction(1, 90000)
    whole = clip(tmp_path / "whole.mp4", codec, options=options, base=base)
    path = remux(whole, tmp_path / name, lambda n, packet: packet, **muxing)
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    assert same(by_blocks(path, index_of(path)), plain(path))


def test_turned_videos_come_upright(tmp_path: Path) -> None:
    path = rotate(clip(tmp_path / "turned.mp4", "libx264", options={"g": "15"}), (0, 1, -1, 0))
    frames = by_blocks(path, index_of(path))
    assert frames[40].image.shape == (128, 96, 3)
    assert same(frames, plain(path))


def join(first: Path, second: Path, target: Path) -> Path:
    """Put one transport stream behind another so that no packet seems to be missing (ISO 13818-1, 2.4.3.3)."""
    data, counters = bytearray(first.read_bytes() + second.read_bytes()), dict[int, int]()
    for at in range(0, len(data), 188):
        pid = int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF
        if data[at + 3] & 0x10:
            counters[pid] = (counters.get(pid, -1) + 1) % 16
        data[at + 3] = data[at + 3] & 0xF0 | max(0, counters.get(pid, 0))
    target.write_bytes(data)
    return target


def test_sizes_that_change_on_the_way_are_scaled_to_the_first(tmp_path: Path) -> None:
    options = {"g": "15", "bf": "0"}
    small = clip(tmp_path / "0.ts", "libx264", options=options)
    large = make_clip(tmp_path / "1.ts", [4 + n / 25 for n in range(60)], size=(192, 128), options=options)
    both = join(small, large, tmp_path / "both.ts")
    index, frames = index_of(both), plain(both)
    assert len(frames) == LENGTH + 60
    assert same(by_blocks(both, index), frames)
    with BlockReader(both, index) as reader:
        assert len(reader.read(range(100, 110))) == 10
        assert any("size changes" in warning for warning in reader.warnings)


def test_recordings_that_were_joined_are_not_sought(tmp_path: Path) -> None:
    part = clip(tmp_path / "part.ts", "libx264", options={"g": "15"})
    assert "joined" in str(build_index(join(part, part, tmp_path / "seamless.ts")))
    (tmp_path / "seam.ts").write_bytes(part.read_bytes() * 2)
    assert "damaged" in str(build_index(tmp_path / "seam.ts"))


def test_times_that_repeat_are_not_sought(tmp_path: Path) -> None:
    def twice(n: int, packet: Any) -> Any:
        packet.pts = packet.dts = packet.pts - 40 if n == 30 else packet.pts
        return packet

    path = remux(clip(tmp_path / "once.mkv", "libx264", options={"g": "15", "bf": "0"}), tmp_path / "twice.mkv", twice)
    assert "same time" in str(build_index(path))


def test_a_file_that_begins_within_a_group_is_not_sought(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mkv", "libx264", options={"x264-params": f"open-gop=1:{X264}"})
    path = remux(whole, tmp_path / "late.mkv", lambda n, packet: packet if n > 3 else None)
    assert "begins in the middle" in str(build_index(path))


# -- damage and lies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "flagged", "keys"),
    [("libx264", [0, 15, 30, 45, 60, 75], [0, 15, 30, 45, 60, 75]), ("mpeg4", [0, 11, 30, 36, 60, 79], [0, 30, 60])],
)
def test_flags_that_lie_are_not_believed(codec: str, flagged: list[int], keys: list[int], tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", codec, options={"g": "15", "bf": "0", "sc_threshold": "0"})
    data = bytearray(path.read_bytes())
    at = data.index(b"stss") + 8  # the numbers of the key frames, from 1 (ISO 14496-12, 8.6.2)
    assert struct.unpack_from(">7I", data, at) == (6, 1, 16, 31, 46, 61, 76)
    struct.pack_into(">7I", data, at, 6, 1, 12, 31, 37, 61, 80)
    path.write_bytes(data)
    with av.open(str(path)) as container:  # which looks into H.264 itself, but seeks by the list
        assert [n for n, packet in enumerate(container.demux(video=0)) if packet.is_keyframe] == flagged
    index = index_of(path)
    assert index.keys.tolist() == keys
    assert same(by_blocks(path, index), plain(path))


def test_a_truncated_file_is_not_sought(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mkv", "libx264", options={"g": "15"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in str(build_index(path))


def spoil(path: Path, numbers: Sequence[int]) -> Path:
    """Overwrite what is in the packets so numbered, in place: headers and lengths stay."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at, size in (packets[n] for n in numbers):
        data[at + 4 : at + size] = np.random.default_rng(at).bytes(size - 4)
    path.write_bytes(data)
    return path


def test_damage_is_told_by_the_block_it_is_in_and_nothing_before_it_is_wrong(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", "libx264", options={"g": "15", "bf": "0"})
    index = index_of(spoil(path, [37]))
    whole = plain(path)
    with BlockReader(path, index) as reader:
        done = [frame for start in (0, 16) for frame in reader.read(range(start, start + 16))]
        with pytest.raises(Inexact, match="decoded from the start") as caught:
            reader.read(range(32, 48))
        assert str(path) in str(caught.value)
        assert len(reader.read(range(46, 60))) == 14  # a later group is whole, but its numbers depend on all before
        with pytest.raises(Inexact):
            reader.prove(range(46))
        reader.prove(range(30))
    assert same(done, whole[:32])


@pytest.mark.parametrize("first", [0, 20, 33])
def test_reading_in_order_goes_on_from_the_start_where_the_table_is_broken(first: int, tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", "libx264", options={"g": "15", "bf": "2"})
    index = index_of(spoil(path, [37, 52]))
    with open_video(path, start_index=first, index=index) as video:
        frames = list(video)
    assert same(frames, plain(path, start_index=first))
    assert any("damaged" in warning for warning in video.warnings)


def test_a_table_of_another_file_is_found_out(tmp_path: Path) -> None:
    index = index_of(clip(tmp_path / "a.mp4", "libx264", options={"g": "15"}))
    other = clip(tmp_path / "b.mp4", "libx264", options={"g": "9"}, times=[n / 30 for n in range(LENGTH)])
    with BlockReader(other, index) as reader, pytest.raises(Inexact, match="decoded from the start"):
        reader.read(range(48, 64))
    with open_video(other, start_index=48, index=index) as video:
        assert same(list(video), plain(other, start_index=48))


# -- parts -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FrameIndex, list[Frame]]:
    path = tmp_path_factory.mktemp("open") / "clip.mp4"
    clip(path, "libx264", options={"x264-params": f"open-gop=1:{X264}"}, times=UNEVEN)
    return path, index_of(path), plain(path)


@given(
    edges=st.lists(st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 40), st.integers(1, 7)), min_size=1, max_size=5)
)
def test_any_parts_in_any_order(
    open_groups: tuple[Path, FrameIndex, list[Frame]], edges: list[tuple[int, int, int]]
) -> None:
    path, index, whole = open_groups
    with BlockReader(path, index) as reader:
        for start, length, stride in edges:
            numbers = range(start, min(start + length, LENGTH), stride)
            assert same(reader.read(numbers), [whole[n] for n in numbers])


@given(
    start=st.none() | st.floats(0, UNEVEN[-1] - 0.5),
    length=st.none() | st.floats(0.3, 4),
    stride=st.integers(1, 5),
    part=st.tuples(st.integers(0, LENGTH), st.integers(1, LENGTH)),
)
def test_a_part_of_a_span_is_what_it_is_without_the_table(
    open_groups: tuple[Path, FrameIndex, list[Frame]],
    start: float | None, length: float | None, stride: int, part: tuple[int, int],
) -> None:  # fmt: skip
    path, index, whole = open_groups
    end = None if length is None else (start or 0) + length
    span: dict[str, Any] = {"start": start, "end": end, "stride": stride}
    expected = [n for n in index.numbers(**span) if part[0] <= n < part[0] + part[1]]
    span |= {"start_index": part[0], "stop_index": part[0] + part[1]}
    sought = plain(path, **span, index=index)
    assert same(sought, [whole[n] for n in expected])
    assert same(sought, plain(path, **span))


def test_a_span_with_nothing_in_it_is_told_with_a_table_too(
    open_groups: tuple[Path, FrameIndex, list[Frame]],
) -> None:
    path, index, _ = open_groups
    with open_video(path, start=999, index=index) as video, pytest.raises(InputError, match="no frame lies"):
        list(video)


def test_what_leads_to_a_frame_is_less_than_two_groups(open_groups: tuple[Path, FrameIndex, list[Frame]]) -> None:
    _, index, _ = open_groups
    assert [index.lead(int(key)) for key in index.keys] == [0] * len(index.keys)
    assert max(index.lead(n) for n in range(LENGTH)) < 30


def test_a_table_travels(open_groups: tuple[Path, FrameIndex, list[Frame]]) -> None:
    path, index, whole = open_groups
    packed = pickle.dumps(index)
    assert len(packed) < 4000
    with BlockReader(path, pickle.loads(packed)) as reader:
        assert same(reader.read(range(30, 50)), whole[30:50])


def test_pictures_of_a_folder_stand_alone(tmp_path: Path) -> None:
    for n in range(12):
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture(n))
    index = index_of(tmp_path)
    assert index.lead(7) == 0
    assert same(by_blocks(tmp_path, index, 5), plain(tmp_path))


def test_what_is_no_file_is_not_sought(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        build_index(tmp_path / "none.mp4")


# -- key frames by their bytes ---------------------------------------------------------------------------------------

ANNEX_B, AVCC = b"\0\0\1", bytes([1, 100, 0, 10, 255])
SPS, IDR, PICTURE = bytes([0x67, 1]), bytes([0x65, 1]), bytes([0x41, 1])


def unit(nal: bytes) -> bytes:
    return len(nal).to_bytes(4, "big") + nal


@pytest.mark.parametrize(
    ("codec", "extradata", "data", "kind"),
    [
        ("h264", AVCC, unit(IDR), CLOSED),
        ("h264", AVCC, unit(PICTURE), None),
        ("h264", AVCC, unit(bytes([6, 6, 1, 0xC4])) + unit(PICTURE), OPEN),
        ("h264", AVCC, unit(bytes([6, 5, 2, 9, 9, 6, 1, 0xC4])) + unit(PICTURE), OPEN),
        ("h264", AVCC, unit(bytes([6, 6, 1, 0x84])) + unit(PICTURE), None),  # not exact
        ("h264", AVCC, unit(bytes([6, 6, 1, 0x4C])) + unit(PICTURE), None),  # a frame later
        ("h264", b"", ANNEX_B + SPS + ANNEX_B + IDR, CLOSED),
        ("h264", b"", ANNEX_B + IDR, None),  # parameter sets are elsewhere
        ("h264", AVCC, b"\0\0\0\1", None),
        ("vp8", b"", b"\x10", CLOSED),
        ("vp8", b"", b"\x11", None),
        ("vp9", b"", bytes([0b10000010]), CLOSED),
        ("vp9", b"", bytes([0b10000110]), None),
        ("vp9", b"", bytes([0b10001000]), None),  # shown again
        ("av1", b"", bytes([0x0A, 1, 0, 0x32, 1, 0x10]), CLOSED),
        ("av1", b"", bytes([0x0A, 1, 0, 0x32, 1, 0x00]), None),  # hidden
        ("av1", b"", bytes([0x32, 1, 0x10]), None),
        ("mpeg2video", b"", b"\0\0\1\xb3\0\0\1\0\0\x08\0", OPEN),
        ("mpeg2video", b"", b"\0\0\1\xb3\0\0\1\0\0\x10\0", None),
        ("mpeg2video", b"", b"\0\0\1\0\0\x08\0", None),
        ("mpeg4", b"", b"\0\0\1\xb6\x10", OPEN),
        ("mpeg4", b"", b"\0\0\1\xb6\x50", None),
        ("ffv1", b"", b"\x7f\x80", CLOSED),
        ("ffv1", b"", b"\x7f\x7f", None),
        ("mjpeg", b"", b"", CLOSED),
    ],
)  # fmt: skip
def test_key_frames_are_known_by_their_bytes(codec: str, extradata: bytes, data: bytes, kind: str | None) -> None:
    assert entry_kind(codec, data, extradata) == kind


@given(
    codec=st.sampled_from(["h264", "hevc", "vp8", "vp9", "av1", "mpeg2video", "mpeg4", "ffv1"]),
    extradata=st.sampled_from([b"", AVCC, b"\1" + bytes(22)]),
    data=st.binary(max_size=60),
)
def test_no_bytes_are_too_odd_to_be_looked_at(codec: str, extradata: bytes, data: bytes) -> None:
    assert entry_kind(codec, data, extradata) in (OPEN, CLOSED, None)


# -- real clips ------------------------------------------------------------------------------------------------------

SHARED = {
    "armwrestling_closeup.mp4": None,
    "bikes_scene_cuts.mp4": None,
    "empty_phone_rotated.mp4": None,
    "pets09_s2l1_surveillance.mp4": None,
    "football_juggle_park.mp4": "only key frame is the first",
    "one_person_lab_ntu.avi": "AVI stores no presentation times",
    "store_aisle.gif": "which gif pictures",
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_clips(name: str, shared: Path) -> None:
    path, reason = shared / "data/video" / name, SHARED[name]
    index = build_index(path)
    if reason:
        assert reason in str(index)
    else:
        assert isinstance(index, FrameIndex)
        assert same(by_blocks(path, index), plain(path))
