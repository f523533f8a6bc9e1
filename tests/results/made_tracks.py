"""Result files made up for tests."""

import numpy as np
from hypothesis import strategies as st

from posetrack.results.native import Header
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult, Person

VIDEO = {"path": "clip.mp4", "width": 1280, "height": 720, "fps": 25.0, "duration": 4.0}
HEADER = Header({"posetrack": "0.1.0"}, VIDEO, COCO17, {"queue_length": 10})


def person(id, rng, joints=17, source="detector"):
    """Somebody somewhere, with every fifth joint absent or so."""
    keypoints = np.concatenate([rng.uniform(-50, 2000, (joints, 2)), rng.uniform(0, 1, (joints, 1))], 1)
    keypoints[rng.random(joints) < 0.2] = (np.nan, np.nan, 0)
    corner = rng.uniform(-50, 1000, 2)
    box = np.concatenate([corner, corner + rng.uniform(0, 900, 2)]).astype(np.float32)
    return Person(id, float(rng.uniform(0, 1)), box, keypoints.astype(np.float32), source)


def made_frames(count, seed=0, most_people=4, joints=17):
    """Frames with up to so many people, ids scattered, a cut now and then, numbers with gaps."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        ids = rng.permutation(most_people)[: rng.integers(0, most_people + 1)] + 1
        people = tuple(person(int(id), rng, joints, ("detector", "flow", "file")[id % 3]) for id in ids)
        frames.append(FrameResult(2 * i, i / 12.5, people, bool(rng.random() < 0.1)))
    return frames


videos = st.builds(made_frames, st.integers(0, 8), st.integers(0, 2**32 - 1), st.integers(1, 5))


def assert_same(found, wanted, what=("time", "cut", "id", "score", "box", "source", "keypoints"), within=0.006):
    """Frames are equal in the fields named, to the rounding of the files."""
    found, wanted = list(found), list(wanted)
    assert [f.index for f in found] == [w.index for w in wanted]
    for f, w in zip(found, wanted, strict=True):
        assert "time" not in what or abs(f.time - w.time) < 1e-6
        assert "cut" not in what or f.cut == w.cut
        assert len(f.people) == len(w.people)
        for a, b in zip(f.people, w.people, strict=True):
            assert "id" not in what or a.id == b.id
            assert "source" not in what or a.source == b.source
            assert "score" not in what or abs(a.score - b.score) < 1e-4
            if "box" in what:
                np.testing.assert_allclose(a.box, b.box, rtol=0, atol=within)
            if "keypoints" in what:
                np.testing.assert_allclose(a.keypoints, b.keypoints, rtol=0, atol=within)


def with_people(frames):
    """The frames that formats without empty frames keep."""
    return [frame for frame in frames if frame.people]


def as_results(sequence):
    """A labelled sequence as frames of people, boxes 0 where it has none."""
    for frame in sequence.frames:
        boxes = np.nan_to_num(frame.boxes)
        people = tuple(
            Person(*row) for row in zip(frame.ids.tolist(), frame.scores.tolist(), boxes, frame.keypoints, strict=True)
        )
        yield FrameResult(frame.index, 0.0, people)
