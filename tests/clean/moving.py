"""People made up for the tests of cleaning: wherever a test wants them to be, at whatever times."""

from dataclasses import replace

import numpy as np

from posetrack.results.lines import Header
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.skeleton import COCO17, Skeleton

VIDEO = {"path": "clip.mp4", "width": 640, "height": 360, "fps": 25.0, "duration": 4.0}


def skeleton_of(joints):
    """A skeleton of our own, of so many joints."""
    if joints == 17:
        return COCO17
    return Skeleton("own", tuple(f"j{i}" for i in range(joints)), (), (), (0.1,) * joints)


def somebody(id, points, scores=0.9, rows=None, size=(60.0, 150.0), score=0.8, source="detector"):
    """A person whose joints are at `points` (n, J, 2), in a box of `size` about their middle."""
    points = np.asarray(points, np.float64)
    n, joints, _ = points.shape
    scores = np.broadcast_to(np.asarray(scores, np.float64), (n, joints))
    keypoints = np.concatenate([points, scores[..., None]], axis=2).astype(np.float32)
    keypoints[np.isnan(points[..., 0])] = (np.nan, np.nan, 0)
    placed = np.maximum(np.isfinite(points).sum(axis=1), 1)
    middle, half = np.nansum(points, axis=1) / placed, np.array(size) / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
    rows = np.arange(n) if rows is None else np.asarray(rows)
    return Trajectory(
        id, rows, keypoints, keypoints.copy(), boxes, np.full(n, score, np.float32), np.full(n, source, "<U8"),
        np.zeros((n, 0), np.float32),
    )  # fmt: skip


def video(*people, times=None, cuts=(), frames=None, joints=None):
    """The tracks of `people`, in so many frames as they need, 25 a second unless `times` are given."""
    count = frames or (len(times) if times is not None else max((int(p.rows[-1]) + 1 for p in people), default=0))
    cut = np.zeros(count, np.bool_)
    cut[list(cuts)] = True
    joints = joints or (people[0].keypoints.shape[1] if people else 17)
    header = Header({"posetrack": "0.1.0"}, VIDEO, skeleton_of(joints), {})
    return Trajectories(
        header, np.arange(count), np.arange(count) / 25 if times is None else np.asarray(times, np.float64), cut, people
    )


def walk(rng, n, joints=3, step=4.0):
    """Points (n, J, 2) of joints that wander."""
    return np.cumsum(rng.normal(0, step, (n, joints, 2)), axis=0) + rng.uniform(100, 300, (1, joints, 2))


def lossy(person, kept):
    """The person in the frames `kept` alone."""
    return person[np.asarray(kept)]


def crowd(rng, people=3, n=25, joints=2, cuts=True):
    """A video with several people who come and go, joints without a place, uneven times and perhaps cuts."""
    times = np.cumsum(rng.uniform(0.02, 0.06, n))
    tracks = []
    for id in range(1, people + 1):
        points = walk(rng, n, joints)
        points[rng.random((n, joints)) < 0.1] = np.nan
        tracks.append(somebody(id, points, rng.uniform(0.1, 1, (n, joints)))[rng.random(n) < 0.85])
    kept = tuple(track for track in tracks if len(track))
    return video(*kept, times=times, cuts=np.flatnonzero(rng.random(n) < 0.05) if cuts else (), joints=joints)


def same(a, b, but=()):
    """Two tracks hold the same to the bit, but for the fields named."""
    assert a.ids == b.ids
    for one, other in zip(a.people, b.people, strict=True):
        for name in {"rows", "keypoints", "raw", "boxes", "scores", "sources", "appearance"} - set(but):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def shuffled(tracks, order):
    """The tracks with their people in another order."""
    return replace(tracks, people=tuple(tracks.people[i] for i in order))
