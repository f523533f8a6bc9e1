"""schema.json: what is written fits it, and what the reader refuses it refuses too."""

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from made_tracks import HEADER, made_frames

from posetrack.errors import FormatError
from posetrack.results.native import read_tracks, write_tracks

LOOK = np.arange(40, dtype=np.uint8)


@pytest.fixture(scope="module")
def schema():
    text = files("posetrack.results").joinpath("schema.json").read_text("utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.check_schema(validator.schema)
    return validator


@pytest.mark.parametrize("count", [0, 1, 30])
def test_what_is_written_fits(schema, tmp_path, count):
    write_tracks(tmp_path / "a.json", HEADER, made_frames(count))
    schema.validate(json.loads((tmp_path / "a.json").read_bytes()))


def test_what_was_cleaned_fits(schema, tmp_path):
    header = replace(HEADER, history=({"command": "clean"},))
    frames = [
        replace(frame, people=tuple(replace(p, raw=p.keypoints, appearance=LOOK, source="fill") for p in frame.people))
        for frame in made_frames(6)
    ]
    write_tracks(tmp_path / "a.json", header, frames, names={1: "Ana"})
    schema.validate(json.loads((tmp_path / "a.json").read_bytes()))


def remove(document, *path):
    *path, last = path
    for key in path:
        document = document[key]
    del document[last]


def put(document, *path):
    *path, last, value = path
    for key in path:
        document = document[key]
    document[last] = value


PERSON = ("frames", 1, "people", 0)


@pytest.mark.parametrize(
    "fault",
    [
        *((remove, field) for field in ("format", "version", "generator", "video", "skeleton", "settings", "tracks")),
        (put, "version", 2),
        (put, "video", "frames_read", -1),
        (put, "skeleton", "edges", 0, [1]),
        (put, "skeleton", "sigmas", 0, 0),
        *((remove, "frames", 1, field) for field in ("index", "time", "people")),
        (put, "frames", 1, "cut", "yes"),
        (put, "frames", 1, "camera", 1),
        *((remove, *PERSON, field) for field in ("id", "score", "box", "from", "keypoints")),
        (put, *PERSON, "id", 0),
        (put, *PERSON, "id", "1"),
        (put, *PERSON, "name", "Ann"),
        (put, *PERSON, "from", "heaven"),
        (put, *PERSON, "box", [0, 0, 1, -1]),
        (put, *PERSON, "box", 3, None),
        (put, *PERSON, "keypoints", 0, [1, 2]),
        (put, *PERSON, "keypoints", 0, [1, None, 0]),
        (put, *PERSON, "keypoints", 0, [None, None, 0.5]),
        (put, "tracks", 0, "first", -1),
        (remove, "tracks", 0, "frames"),
    ],
)
def test_faults_are_refused_by_schema_and_reader(schema, tmp_path, fault):
    write_tracks(tmp_path / "a.json", HEADER, [f for f in made_frames(20) if f.people])
    document = json.loads((tmp_path / "a.json").read_bytes())
    change, *arguments = fault
    change(document, *arguments)
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(document)
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    with pytest.raises(FormatError):
        list(read_tracks(tmp_path / "wrong.json"))
