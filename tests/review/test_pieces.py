"""Frames found in the file without reading it all, and packed for the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewing import header, scattered, two_who_swap, walker

from posetrack.errors import FormatError
from posetrack.results.native import read_tracks, write_tracks
from posetrack.review.pieces import FrameLines, pack
from posetrack.review.presence import presence_of
from posetrack.types import FrameResult


def unpacked(data: bytes) -> list[dict]:
    """What pack packed, frame by frame, as page/pieces.js reads it."""
    frames, people, joints, has_raw = np.frombuffer(data, "<u4", 4)
    at = 16

    def take(kind, *shape):
        nonlocal at
        count = int(np.prod(shape))
        column = np.frombuffer(data, kind, count, at).reshape(shape)
        at += column.nbytes
        return column

    times, indices, firsts = take("<f8", frames), take("<i4", frames), take("<i4", frames + 1)
    ids, scores, boxes = take("<i4", people), take("<f4", people), take("<f4", people, 4)
    keypoints = take("<f4", people, joints, 3)
    raw = take("<f4", people, joints, 3) if has_raw else keypoints
    cuts, sources = take("u1", frames), take("u1", people)
    assert at == len(data)
    return [
        {
            "index": indices[n], "time": times[n], "cut": bool(cuts[n]), "ids": ids[rows], "scores": scores[rows],
            "boxes": boxes[rows], "keypoints": keypoints[rows], "raw": raw[rows], "sources": sources[rows],
        }
        for n in range(frames) for rows in [slice(firsts[n], firsts[n + 1])]
    ]  # fmt: skip


def assert_are(found: list[dict], wanted: list[FrameResult]) -> None:
    assert [frame["index"] for frame in found] == [frame.index for frame in wanted]
    for frame, result in zip(found, wanted, strict=True):
        assert frame["time"] == result.time
        assert frame["cut"] == result.cut
        assert frame["ids"].tolist() == [p.id for p in result.people]
        for n, p in enumerate(result.people):
            assert frame["scores"][n] == np.float32(p.score)
            np.testing.assert_allclose(frame["boxes"][n][:2], p.box[:2])
            np.testing.assert_allclose(frame["boxes"][n][2:], p.box[2:] - p.box[:2], atol=2e-4)
            np.testing.assert_array_equal(frame["keypoints"][n], p.keypoints)
            np.testing.assert_array_equal(frame["raw"][n], p.keypoints if p.raw is None else p.raw)
            assert ("detector", "flow", "file", "fill")[frame["sources"][n]] == p.source


def written(folder, frames):
    path = folder / "made.tracks.json"
    write_tracks(path, header(), frames, overwrite=True)
    return path


@given(st.integers(0, 30), st.integers(0, 5), st.integers(1, 12))
def test_pieces_are_the_frames_and_neighbours_lead_through_all_of_them(tmp_path_factory, count, seed, span):
    path = written(tmp_path_factory.mktemp("pieces"), scattered(count, seed))
    wanted, lines = list(read_tracks(path)), FrameLines(path)
    lines.span = span
    found, number = [], lines.first[0] // span
    assert lines.neighbours(number)[0] is None
    while number is not None:
        piece = lines.piece(number)
        assert all(frame["index"] // span == number for frame in piece)
        found += unpacked(pack(piece, 17))
        before, number, until = number, lines.neighbours(number)[1], lines.neighbours(number)[2]
        if number is not None:
            assert lines.neighbours(number)[0] == before
            assert lines.piece(number)[0]["time"] == until
    assert_are(found, wanted)
    assert [frame["index"] for piece in lines.pieces() for frame in piece] == [frame.index for frame in wanted]


@given(st.integers(0, 30), st.integers(0, 5))
def test_who_is_where_is_what_the_strict_reader_says(tmp_path_factory, count, seed):
    path = written(tmp_path_factory.mktemp("pieces"), scattered(count, seed))
    spaced = path.with_name("spaced.json")
    spaced.write_bytes(path.read_bytes().replace(b'"id":', b'"id" : '))
    wanted = presence_of(read_tracks(path))
    for found in (FrameLines(path).presence(), FrameLines(spaced).presence()):
        assert found.frames.tolist() == wanted.frames.tolist()
        assert {id: [list(a), list(b)] for id, (a, b) in found.runs.items()} == {
            id: [list(a), list(b)] for id, (a, b) in wanted.runs.items()
        }


@given(st.integers(1, 30), st.integers(1, 12), st.floats(-1, 4))
def test_a_time_leads_to_the_piece_with_the_frame_that_is_shown_then(tmp_path_factory, count, span, time):
    path = written(tmp_path_factory.mktemp("pieces"), scattered(count, 1))
    lines = FrameLines(path)
    lines.span = span
    shown = [frame for frame in read_tracks(path) if frame.time <= time + 1e-6]
    wanted = shown[-1].index if shown else 0
    assert lines.piece_at(time) == wanted // span


def test_an_empty_result_has_no_pieces(tmp_path):
    lines = FrameLines(written(tmp_path, []))
    assert (lines.first, lines.last) == ((0, 0.0), (0, 0.0))
    assert lines.piece(0) == []
    assert lines.piece_at(3) == 0
    assert lines.neighbours(0) == (None, None, None)
    assert unpacked(pack([], 17)) == []


def test_the_pieces_of_a_crowd_are_shorter(tmp_path):
    few = [FrameResult(i, i / 25, (walker(1, 50, 60),)) for i in range(300)]
    many = [FrameResult(i, i / 25, tuple(walker(id, 99.37 + id, 80.55) for id in range(1, 60))) for i in range(60)]
    sparse = [replace(frame, index=10 * frame.index) for frame in few]
    spans = []
    for name, frames in {"few": few, "many": many, "sparse": sparse}.items():
        write_tracks(tmp_path / name, header(), frames)
        spans.append(FrameLines(tmp_path / name).span)
    assert spans[0] == 250
    assert 10 <= spans[1] < 60
    assert 2000 < spans[2] <= 2550


def test_a_result_laid_out_otherwise_is_read_too(tmp_path):
    path = written(tmp_path, scattered(6))
    wanted = list(read_tracks(path))
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(path.read_text())))
    lines = FrameLines(other)
    assert_are(unpacked(pack(lines.piece(0), 17)), wanted)
    shuffled = tmp_path / "shuffled.json"
    text = path.read_bytes().splitlines()
    start = next(n for n, line in enumerate(text) if line.endswith(b'"frames":['))
    for n in range(start + 1, len(text) - 1):
        record = orjson.loads(text[n].rstrip(b","))
        text[n] = orjson.dumps(dict(reversed(record.items()))) + (b"," if text[n].endswith(b",") else b"")
    shuffled.write_bytes(b"\n".join(text) + b"\n")
    assert_are(unpacked(pack(FrameLines(shuffled).piece(0), 17)), wanted)


def test_a_journal_is_read_as_far_as_its_whole_lines_go(tmp_path):
    write_tracks(tmp_path / "whole.json", header(), two_who_swap())
    text = (tmp_path / "whole.json").read_bytes()
    cut = text.index(b'{"index":30,') + 40
    (tmp_path / "clip.tracks.json.part").write_bytes(text[:cut])
    lines = FrameLines(tmp_path / "clip.tracks.json.part")
    assert lines.last[0] == 29
    assert len(lines.piece(0)) == 30


def test_a_damaged_line_is_told(tmp_path):
    path = written(tmp_path, scattered(6))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"keypoints":[[', b'"keypoints":[{', 1))
    with pytest.raises(FormatError, match=r"made\.tracks\.json: damaged between bytes"):
        FrameLines(path).piece(0)
    path.write_bytes(data.replace(b'"from":"', b'"from":"x', 1))
    with pytest.raises(FormatError, match="a frame from number"):
        pack(FrameLines(path).piece(0), 17)
