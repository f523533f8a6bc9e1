"""Reading and writing videos: what is told of a clip, its frames, times, orientation, sound, and bad input."""

from __future__ import annotations

import functools
import http.server
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import CORNERS, corners, make_clip, number, picture, rotate, tone

from posetrack.errors import InputError, OutputError
from posetrack.media import MediaSource
from posetrack.sources import LiveSource, Raw, VideoInfo
from posetrack.video import VideoWriter, expand_inputs, has_variable_rate, open_video

UNEVEN = [0.0, 0.04, 0.1, 0.5, 0.51, 1.0, 1.7, 1.75, 1.8, 2.5]


def numbers(path: Any, **options: Any) -> list[int]:
    with open_video(path, **options) as video:
        return [number(frame.image) for frame in video]


def times(path: Any, **options: Any) -> list[float]:
    with open_video(path, **options) as video:
        return [frame.time for frame in video]


# -- reading ---------------------------------------------------------------------------------------------------------

KINDS = {
    "h264.mp4": ("libx264", "yuv420p", (64, 48)),
    "h264_444_odd.mp4": ("libx264", "yuv444p", (67, 45)),
    "ten_bit.mkv": ("libx264", "yuv420p10le", (64, 48)),
    "full_range.avi": ("mjpeg", "yuvj420p", (64, 48)),
    "mpeg4.avi": ("mpeg4", "yuv420p", (64, 48)),
    "b_frames_without_times.avi": ("libx264", "yuv420p", (64, 48)),
    "starts_late.ts": ("libx264", "yuv420p", (64, 48)),
    "no_container.h264": ("libx264", "yuv420p", (64, 48)),
    "transparent.mov": ("png", "rgba", (67, 45)),
    "gray_odd.mkv": ("ffv1", "gray", (67, 45)),
    "gray_deep.mkv": ("ffv1", "gray16le", (64, 48)),
    "animated.gif": ("gif", "rgb8", (64, 48)),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_its_frames_in_order_with_their_times(name: str, tmp_path: Path) -> None:
    codec, pix_fmt, size = KINDS[name]
    base = Fraction(1, 25) if name.endswith("avi") else Fraction(1, 90000)
    path = make_clip(tmp_path / name, 24, size=size, codec=codec, pix_fmt=pix_fmt, base=base)
    with open_video(path) as video:
        frames = list(video)
    assert [number(frame.image) for frame in frames] == list(range(24))
    assert [frame.index for frame in frames] == list(range(24))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(24)], abs=1e-6)
    assert video.end == pytest.approx(24 / 25)
    assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}
    assert {frame.image.dtype for frame in frames} == {np.dtype(np.uint8)}
    assert video.warnings == []
    if "gray" not in name:
        assert corners(frames[0].image) == CORNERS
    assert (video.info.width, video.info.height, video.info.fps) == (*size, 25)
    assert video.info.frames_estimate in (24, None if name.endswith("h264") else 24)


def test_variable_rates_keep_their_times(tmp_path: Path) -> None:
    uneven = make_clip(tmp_path / "uneven.mp4", UNEVEN)
    assert times(uneven) == pytest.approx(UNEVEN, abs=1e-5)
    assert has_variable_rate(str(uneven))
    ntsc = make_clip(tmp_path / "ntsc.mp4", 400, fps=Fraction(30000, 1001))
    assert times(ntsc) == pytest.approx([n * 1001 / 30000 for n in range(400)], abs=1e-9)
    assert not has_variable_rate(str(ntsc))


def test_times_that_repeat_still_grow_and_do_not_shift_what_follows(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "once.mkv", 10, options={"bf": "0"})
    again = tmp_path / "again.mkv"
    with av.open(str(path)) as source, av.open(str(again), "w") as copy:
        track = source.streams.video[0]
        stream = copy.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.pts is not None:
                packet.pts = packet.dts = 120 if packet.pts == 160 else packet.pts  # milliseconds
                packet.stream = stream
                copy.mux(packet)
    expected = [0.0, 0.04, 0.08, 0.12, 0.14, 0.2, 0.24, 0.28, 0.32, 0.36]
    assert times(again) == pytest.approx(expected)


MATRICES = {
    "upright": ((1, 0, 0, 1), 0, False),
    "a quarter right": ((0, 1, -1, 0), 90, False),
    "upside down": ((-1, 0, 0, -1), 180, False),
    "a quarter left": ((0, -1, 1, 0), 270, False),
    "mirrored": ((-1, 0, 0, 1), 0, True),
    "mirrored upside down": ((1, 0, 0, -1), 180, True),
    "transposed": ((0, 1, 1, 0), 270, True),
    "transposed and turned": ((0, -1, -1, 0), 90, True),
}


@pytest.mark.parametrize("name", MATRICES)
def test_rotations_and_flips_of_the_container_are_undone(name: str, tmp_path: Path) -> None:
    (a, b, c, d), degrees, mirrored = MATRICES[name]
    path = rotate(make_clip(tmp_path / "turned.mp4", 3), (a, b, c, d))
    # each stored corner (p, q), from -1 to 1, is shown at (a p + c q, b p + d q)
    shown = {}
    for colour, (p, q) in zip(CORNERS, [(-1, -1), (1, -1), (-1, 1), (1, 1)], strict=True):
        shown[a * p + c * q, b * p + d * q] = colour
    with open_video(path) as video:
        image = next(iter(video)).image
    assert corners(image) == tuple(shown[x, y] for y in (-1, 1) for x in (-1, 1))
    assert image.shape == ((48, 64, 3) if a else (64, 48, 3))
    assert (video.info.width, video.info.height) == (image.shape[1], image.shape[0])
    assert (video.info.coded_width, video.info.coded_height) == (64, 48)
    assert (video.info.rotation, video.info.mirrored) == (degrees, mirrored)


@pytest.mark.parametrize(("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (2, 0.299, 0.114)])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_read_as_the_file_says(matrix: int, red: float, blue: float, full: bool, tmp_path: Path) -> None:
    y, u, v = 100, 90, 170
    path = tmp_path / "colours.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        frame = av.VideoFrame(64, 48, "yuv420p")
        for plane, level in zip(frame.planes, (y, u, v), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.colorspace, frame.color_range, frame.pts = matrix, 2 if full else 1, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # ITU-R BT.709 and BT.601: y = red r + (1 - red - blue) g + blue b, with 219 and 224 levels unless it is full
    luma = y / 255 if full else (y - 16) / 219
    r = luma + 2 * (1 - red) * (v - 128) / (255 if full else 224)
    b = luma + 2 * (1 - blue) * (u - 128) / (255 if full else 224)
    g = (luma - red * r - blue * b) / (1 - red - blue)
    with open_video(path) as video:
        pixel = next(iter(video)).image[20, 30]
    np.testing.assert_allclose(pixel, 255 * np.array([r, g, b]), atol=3)


def test_edit_lists_are_kept(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", 10, options={"bf": "0"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as copy:
        track = source.streams.video[0]
        stream = copy.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.dts is not None and packet.pts is not None and track.time_base is not None:
                shift = round(Fraction(3, 25) / track.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                copy.mux(packet)
    assert numbers(cut) == list(range(3, 10))
    assert times(cut) == pytest.approx([n / 25 for n in range(7)])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("start", "end"), [(None, None), (0.2, None), (None, 0.4), (0.2, 0.4), (0.21, 0.39)])
def test_parts_and_strides_are_those_of_the_whole(
    start: float | None, end: float | None, stride: int, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", 20)
    inside = [n for n in range(20) if (start or 0) <= n / 25 and (end is None or n / 25 < end)][::stride]
    with open_video(path, start, end, stride) as video:
        frames = list(video)
    assert [frame.index for frame in frames] == [number(frame.image) for frame in frames] == inside
    assert video.frames_read == len(inside)
    assert video.frames_expected == pytest.approx(len(inside), abs=1)
    for first in (0, 7, 16):
        expected = [n for n in inside if n >= first]
        assert numbers(path, start=start, end=end, stride=stride, start_index=first) == expected


def test_sizes_that_change_on_the_way_are_scaled_to_the_first(tmp_path: Path) -> None:
    parts = [make_clip(tmp_path / f"{n}.ts", 5, size=size) for n, size in enumerate([(64, 48), (96, 72)])]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(both) as video:
        frames = list(video)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert [number(frame.image) for frame in frames] == [*range(5), *range(5)]
    assert np.diff([frame.time for frame in frames]) == pytest.approx(1 / 25)  # across the joint too
    assert any("size changes" in warning for warning in video.warnings)


# -- damage ----------------------------------------------------------------------------------------------------------


def snow(frames: int) -> Any:
    """Faint noise that swells a file's size."""
    return np.random.default_rng(0).integers(0, 100, (frames, 48, 64, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_a_truncated_file_gives_what_is_there_and_a_warning(suffix: str, tmp_path: Path) -> None:
    base = Fraction(1, 25) if suffix == "avi" else Fraction(1, 90000)
    images = [np.maximum(picture(n), noise) for n, noise in enumerate(snow(100))]
    path = make_clip(tmp_path / f"clip.{suffix}", 100, images=images, options={"g": "10"}, base=base)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_video(path) as video:
        seen = [number(frame.image) for frame in video]
    assert 30 < len(seen) < 70
    assert seen[:30] == list(range(30))
    words = {"mkv": "cut short", "avi": "damaged", "ts": None}[suffix]  # a transport stream may end anywhere
    assert words is None or any(words in warning for warning in video.warnings)


def test_a_damaged_file_gives_what_decodes_a_warning_and_twice_the_same(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", 100, options={"g": "10", "crf": "1"})
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    for at in noise.integers(len(data) // 4, 3 * len(data) // 4, 40):
        data[at : at + 30] = noise.bytes(30)
    path.write_bytes(data)
    runs = []
    for _ in range(3):
        with open_video(path) as video:
            runs.append([frame.image.tobytes() for frame in video])
        assert any("damaged" in warning or "stopped" in warning for warning in video.warnings)
    assert len(runs[0]) > 20
    assert runs[0] == runs[1] == runs[2]


def _audio_only(folder: Path) -> Path:
    with av.open(str(folder / "song.m4a"), "w") as container:
        stream: Any = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1024 / 48000, 0)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return folder / "song.m4a"


def _without_index(folder: Path) -> Path:
    path = make_clip(folder / "clip.mp4", 20)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    return path


def _no_frames(folder: Path) -> Path:
    path = make_clip(folder / "clip.mkv", 3)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])  # up to the first cluster
    return path


def _written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


BAD_INPUTS = {
    "missing": (lambda folder: folder / "nothing.mp4", "no such file"),
    "empty": (lambda folder: _written(folder, "a.mp4", b""), "empty"),
    "text as video": (lambda folder: _written(folder, "a.mp4", b"Dear diary,\n" * 99), "not a video"),
    "text": (lambda folder: _written(folder, "a.txt", b"Dear diary,\n" * 99), "text"),
    "sound only": (_audio_only, "sound but no pictures"),
    "index lost": (_without_index, "index is lost"),
    "no frames": (_no_frames, "no frame|not a video|no pictures"),
    "folder without pictures": (lambda folder: folder, "no pictures"),
    "glob without pictures": (lambda folder: folder / "*.png", "no picture"),
    "picture that is none": (lambda folder: _written(folder, "a.png", b"none"), r"a\.png.*cannot be read"),
    "no such camera": (lambda folder: 77, "camera 77"),
    "no such host": (lambda folder: "http://127.0.0.1:9/a.mp4", "cannot be opened"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_told_in_one_line_that_names_it(case: str, tmp_path: Path) -> None:
    make, words = BAD_INPUTS[case]
    source = make(tmp_path)
    with pytest.raises(InputError, match=words) as caught, open_video(source) as video:
        list(video)
    assert "\n" not in str(caught.value)
    assert str(source) in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"stride": 0}, "stride"), ({"start": 2, "end": 1}, "not after"), ({"start": 99}, "no frame lies")],
)
def test_impossible_parts_are_told(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", 5)
    with pytest.raises(InputError, match=words), open_video(path, **options) as video:
        list(video)


# -- pictures --------------------------------------------------------------------------------------------------------


def save(path: Path, image: Any) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def test_a_folder_and_a_glob_of_pictures_come_in_natural_order(tmp_path: Path) -> None:
    for n in range(12):
        save(tmp_path / f"img{n}.png", picture(n))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._img3.png").write_bytes(b"left by a Mac")
    for source in (tmp_path, tmp_path / "img*.png", tmp_path / "img?.png"):
        with open_video(source) as video:
            frames = list(video)
        assert [number(frame.image) for frame in frames] == list(range(len(frames)))
        assert [frame.time for frame in frames] == [n / 25 for n in range(len(frames))]
        assert video.info.frames_estimate == len(frames) == (10 if "?" in str(source) else 12)
    assert numbers(tmp_path / "img7.png") == [7]


def test_pictures_of_every_kind_come_as_upright_rgb(tmp_path: Path) -> None:
    image = picture(5)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "gray.png"), gray)
    cv2.imwrite(str(tmp_path / "deep.png"), gray.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "alpha.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGRA))
    for name in ("gray.png", "deep.png", "alpha.png"):
        with open_video(tmp_path / name) as video:
            read = next(iter(video)).image
        assert (read.shape, read.dtype, number(read)) == ((48, 64, 3), np.uint8, 5)
    with open_video(tmp_path / "alpha.png") as video:
        np.testing.assert_array_equal(next(iter(video)).image, image)


def test_the_orientation_in_a_photo_is_honoured(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", cv2.cvtColor(picture(0), cv2.COLOR_RGB2BGR))[1].tobytes()
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # orientation 6: turn it a quarter right
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + b"\0\0\0\0"
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    with open_video(tmp_path) as video:
        image = next(iter(video)).image
    assert image.shape == (64, 48, 3)
    assert corners(image) == ("blue", "red", "white", "green")


def test_the_picture_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for n in range(3):
        save(tmp_path / f"{n}.png", picture(n))
    (tmp_path / "1.png").write_bytes(b"\x89PNG and then nothing")
    with pytest.raises(InputError, match=r"1\.png.*cannot be read"):
        numbers(tmp_path)
    save(tmp_path / "1.png", picture(1, 32, 32))
    with pytest.raises(InputError, match=r"1\.png: it is 32x32, those before it 64x48"):
        numbers(tmp_path)


# -- live ------------------------------------------------------------------------------------------------------------


class Gate:
    """A live source that gives a picture each time it is let."""

    info = VideoInfo("gate", 64, 48, 25.0, None, None, kind="live")

    def __init__(self, count: int) -> None:
        self.warnings: list[str] = []
        self.count, self.given, self.closed = count, threading.Semaphore(0), False
        self.taken = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Raw]:
        for n in range(self.count):
            self.given.acquire()
            yield Raw(n, n / 25, 1 / 25, lambda n=n: picture(n))  # type: ignore[misc]
            self.taken.release()

    def close(self) -> None:
        self.closed = True

    def let(self, count: int) -> None:
        """Let so many pictures through and wait until the reader has them."""
        for _ in range(count):
            self.given.release()
        for _ in range(count):
            self.taken.acquire()


def test_a_live_source_gives_the_newest_picture_and_drops_older_ones() -> None:
    gate = Gate(9)
    live = LiveSource(gate)
    pictures = iter(live)
    gate.let(3)
    assert next(pictures).index == 2
    gate.let(1)
    assert next(pictures).index == 3
    gate.let(5)
    last = next(pictures)
    assert (last.index, number(last.image())) == (8, 8)
    assert list(pictures) == []
    live.close()
    assert gate.closed


def test_errors_of_a_live_source_come_out_where_it_is_read() -> None:
    class Failing(Gate):
        def __iter__(self) -> Iterator[Raw]:
            raise InputError("the cable is out")

    with pytest.raises(InputError, match="cable"):
        list(LiveSource(Failing(1)))


def test_a_network_stream_is_live(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.ts", 50).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with open_video(f"tcp://127.0.0.1:{server.getsockname()[1]}") as video:
            seen = [(frame.index, number(frame.image)) for frame in video]
        thread.join()
    assert seen[-1] == (49, 49)
    assert all(index == n for index, n in seen)
    assert seen == sorted(set(seen))


def test_a_file_behind_http_loses_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 50)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert numbers(f"http://127.0.0.1:{server.server_port}/clip.mp4") == list(range(50))
            with pytest.raises(InputError, match="cannot be opened"):
                open_video(f"http://127.0.0.1:{server.server_port}/other.mp4")
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


# -- which inputs ----------------------------------------------------------------------------------------------------


def test_inputs_are_expanded_in_natural_order(tmp_path: Path) -> None:
    films, stills, mixed, bare = (tmp_path / name for name in ("films", "stills", "mixed", "bare"))
    for folder in (films, stills, mixed, bare):
        folder.mkdir()
    for name in ("b10.mp4", "b9.mov", "a.tracks.mp4", "a.tracks.json", ".hidden.mp4"):
        (films / name).touch()
    for name in ("2.jpg", "10.jpg"):
        (stills / name).touch()
    for name in ("thumbnail.png", "clip.GIF"):
        (mixed / name).touch()
    assert expand_inputs([films]) == [str(films / "b9.mov"), str(films / "b10.mp4")]
    assert expand_inputs([stills]) == [str(stills)]
    assert expand_inputs([mixed]) == [str(mixed / "clip.GIF")]
    assert expand_inputs([f"{films}/*.m*"]) == [str(films / "b9.mov"), str(films / "b10.mp4")]
    assert expand_inputs([f"{stills}/*.jpg"]) == [f"{stills}/*.jpg"]
    assert expand_inputs([0, "rtsp://host/a?b=c", "none.mp4"]) == ["0", "rtsp://host/a?b=c", "none.mp4"]
    for nothing in (bare, f"{bare}/*", f"{films}/*.json"):
        with pytest.raises(InputError, match=re.escape(str(nothing))):
            expand_inputs([nothing])


# -- writing ---------------------------------------------------------------------------------------------------------


def copy_video(source: Any, target: Path, **part: Any) -> VideoWriter:
    with open_video(source, **part) as video, VideoWriter.like(video.info, target, **part) as writer:
        for frame in video:
            writer.write(frame.image, frame.time)
            writer.last_frame_ends = video.end
    return writer


def sound_of(path: Path) -> tuple[str, Any]:
    """The codec and the samples from time 0 on of a file's sound, at 48 kHz."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        samples = np.zeros(48000 * 20)
        last = 0
        for frame in container.decode(track):
            assert frame.pts is not None
            assert frame.time_base is not None
            data = frame.to_ndarray()[0].astype(float) / (32768 if "16" in frame.format.name else 1)
            at = round(float(frame.pts * frame.time_base) * 48000)
            data, at = data[max(0, -at) :], max(0, at)
            samples[at : at + len(data)] = data
            last = at + len(data)
        return track.codec_context.name, samples[:last]


@pytest.mark.parametrize("size", [(64, 48), (67, 45), (18, 16)])
def test_written_videos_play_anywhere(size: tuple[int, int], tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", *size, 25) as writer:
        assert not (tmp_path / "out.mp4").exists()
        for n in range(10):
            writer.write(picture(n, *size), n / 25)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert numbers(tmp_path / "out.mp4") == list(range(10))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("moments", "fps"), [(UNEVEN, 25), (30, Fraction(30000, 1001)), (20, 60), (3, Fraction(1, 2)), (1, 25)]
)
def test_times_and_duration_are_the_sources(moments: Any, fps: Any, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", moments, fps=fps, options={"bf": "0"})
    copy_video(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx(times(source), abs=1e-5)
    with open_video(source) as video, open_video(tmp_path / "out.mp4") as copy:
        assert list(map(number, (f.image for f in copy))) == list(map(number, (f.image for f in video)))
        assert copy.info.duration == pytest.approx(video.info.duration, abs=1e-3)
        assert copy.end == pytest.approx(video.end, abs=1e-4)


def test_colours_and_pixel_aspect_survive(tmp_path: Path) -> None:
    image = picture(0b10101010)
    with VideoWriter(tmp_path / "out.mp4", 64, 48, 25, pixel_aspect=Fraction(64, 51)) as writer:
        writer.write(image, 0)
    with open_video(tmp_path / "out.mp4") as video:
        read = next(iter(video)).image
    assert video.info.pixel_aspect == Fraction(64, 51)
    for y, x in ((8, 12), (8, 52), (40, 12), (40, 52), (24, 12)):
        assert np.abs(read[y, x].astype(int) - image[y, x]).max() <= 8


@pytest.mark.parametrize(
    ("suffix", "codec", "written"), [("mp4", "aac", "aac"), ("ts", "aac", "aac"), ("mkv", "pcm_s16le", "aac")]
)
def test_sound_comes_along_and_stays_in_step(suffix: str, codec: str, written: str, tmp_path: Path) -> None:
    source = make_clip(tmp_path / f"in.{suffix}", 75, sound=tone(3, onset=1.5), sound_codec=codec, options={"bf": "0"})
    writer = copy_video(source, tmp_path / "out.mp4")
    name, samples = sound_of(tmp_path / "out.mp4")
    assert name == written
    assert (codec == written) == (writer.warnings == [])
    assert np.argmax(np.abs(samples) > 0.1) / 48000 == pytest.approx(1.5, abs=0.03)
    assert len(samples) / 48000 == pytest.approx(3, abs=0.06)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "pcm_s16le")])
@pytest.mark.parametrize(("start", "end"), [(1.0, None), (None, 2.0), (1.0, 2.0), (1.2, 2.4)])
def test_sound_is_cut_with_the_pictures(
    suffix: str, codec: str, start: float | None, end: float | None, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / f"in.{suffix}", 75, sound=tone(3, onset=1.5), sound_codec=codec)
    copy_video(source, tmp_path / "out.mp4", start=start, end=end)
    _, samples = sound_of(tmp_path / "out.mp4")
    begin, length = start or 0, (end or 3) - (start or 0)
    assert np.argmax(np.abs(samples) > 0.1) / 48000 == pytest.approx(1.5 - begin, abs=0.03)
    assert len(samples) / 48000 == pytest.approx(length, abs=0.06)
    first = round(begin * 25)
    assert numbers(tmp_path / "out.mp4") == list(range(first, round((begin + length) * 25)))
    assert times(tmp_path / "out.mp4")[0] == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(length, abs=1e-3)


def test_copied_sound_is_the_very_same(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", 50, sound=tone(2, 0.5))
    copy_video(source, tmp_path / "out.mp4")
    packets = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            packets.append([bytes(p) for p in container.demux(container.streams.audio[0]) if p.size])
    assert packets[0] == packets[1]


def _write_and_be_interrupted(writer: VideoWriter) -> None:
    writer.write(picture(0), 0)
    raise KeyboardInterrupt


def test_what_exists_is_replaced_only_when_told_and_only_by_a_whole_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        VideoWriter(path, 64, 48, 25)
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 64, 48, 25, overwrite=True) as writer:
        _write_and_be_interrupted(writer)
    assert path.read_bytes() == b"precious"
    with VideoWriter(path, 64, 48, 25, overwrite=True) as writer:
        pass
    assert path.read_bytes() == b"precious"
    with VideoWriter(path, 64, 48, 25, overwrite=True) as writer:
        writer.write(picture(3), 0)
    assert numbers(path) == [3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(("name", "words"), [("none/out.mp4", "make the folder"), ("out.webm", r"\.mp4 or \.mov")])
def test_places_that_cannot_be_written_are_told(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=words):
        VideoWriter(tmp_path / name, 64, 48, 25)


def test_the_size_of_the_frames_must_fit(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", 64, 48, 25)
    with pytest.raises(ValueError, match="wants 64x48"):
        writer.write(picture(0, 32, 32), 0)


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are Unix's")
@pytest.mark.parametrize("limit", [1000, 200_000])
def test_a_full_disk_is_told_and_leaves_nothing(limit: int, tmp_path: Path) -> None:
    program = f"""
        import resource, signal, sys
        import numpy as np
        from posetrack.errors import OutputError
        from posetrack.video import VideoWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        noise = np.random.default_rng(0)
        try:
            with VideoWriter({str(tmp_path / "out.mp4")!r}, 320, 240, 25) as writer:
                for n in range(60):
                    writer.write(noise.integers(0, 255, (240, 320, 3), np.uint8), n / 25)
        except OutputError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


# -- real clips ------------------------------------------------------------------------------------------------------


def test_the_shared_clips_give_the_frames_they_hold(shared: Path) -> None:
    table = (shared / "data/video/README.md").read_text()
    rows = re.findall(r"^\| (\S+\.(?:mp4|avi|gif)) \| \S+ \| (\d+) \|", table, re.M)
    assert len(rows) == 17
    for name, count in rows:
        source = MediaSource(str(shared / "data/video" / name))
        moments = [raw.time for raw in source]
        source.close()
        assert len(moments) == int(count), name
        assert moments[0] == 0, name
        assert np.diff(moments).min() > 0, name
        assert abs(np.diff(moments).mean() * source.info.fps - 1) < 0.01, name
        assert source.warnings == [], name


@pytest.mark.parametrize(
    ("name", "size"), [("empty_phone_rotated.mp4", (848, 480)), ("portrait_rotated_gym.mp4", (1088, 1920))]
)
def test_rotated_phone_videos_stand_upright(name: str, size: tuple[int, int], shared: Path, tmp_path: Path) -> None:
    clip = shared / "data/video" / name
    copy_video(clip, tmp_path / "out.mp4", end=0.3)
    with open_video(clip, end=0.3) as video, open_video(tmp_path / "out.mp4") as copy:
        assert (video.info.width, video.info.height) == size
        assert (copy.info.width, copy.info.height, copy.info.rotation) == (*size, 0)
        assert (video.info.rotation, video.info.mirrored) == (90, False)
        pairs = list(zip(video, copy, strict=True))
    for frame, other in pairs[::10]:
        assert np.abs(frame.image.astype(int) - other.image).mean() < 4
