"""Made-up people who walk through a picture, as result files, and a look at the plots of them."""

import cv2
import numpy as np

from posetrack.results.native import Header, write_tracks
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult, Person

SIZE = (320, 240)


def walker(id, x, y, skeleton=COCO17, source="detector", score=0.9):
    """Somebody 80 pixels high around x, y, whose joints all lie on a small circle around the hips' middle."""
    turns = np.arange(len(skeleton)) / max(1, len(skeleton)) * 2 * np.pi
    keypoints = np.column_stack([x + 9 * np.cos(turns), y + 9 * np.sin(turns), np.full(len(turns), score)])
    for joint, offset in (("left_hip", 6), ("right_hip", -6)):
        if joint in skeleton.joints:
            keypoints[skeleton.index(joint), :2] = x + offset, y
    box = np.array([x - 20, y - 40, x + 20, y + 40], np.float32)
    return Person(id, 0.9, box, keypoints.astype(np.float32), source)


def write(path, frames, skeleton=COCO17, names=None, size=SIZE):
    video = {"path": "clip.mp4", "fps": 25.0} | ({} if size is None else {"width": size[0], "height": size[1]})
    write_tracks(path, Header({}, video, skeleton, {}), frames, names=names or {})
    return path


def two_walkers(count=40, skeleton=COCO17):
    """1 goes right along y = 60 but is away in frames 15 to 19, filled in 25 to 29; 2 stands from frame 10 on."""
    frames = []
    for n in range(count):
        people = [walker(1, 30 + 6 * n, 60, skeleton, "fill" if 25 <= n < 30 else "detector")] * (not 15 <= n < 20)
        people += [walker(2, 160, 170, skeleton)] * (n >= 10)
        frames.append(FrameResult(n, n / 25, tuple(people), cut=n == 35))
    return frames


def pixels(path):
    return cv2.cvtColor(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def at(picture, colour, within=12):
    """Where a picture has a colour, as (n, 2) x, y."""
    near = np.abs(picture.astype(int) - np.rint(255 * np.array(colour))).max(axis=2) <= within
    return np.argwhere(near)[:, ::-1]
