"""Drawn people with known joints, as a zip shard: what training can be tested on without anybody's pictures."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np

from posetrack.skeleton import COCO17

STANDING = {
    "nose": (0, -60), "left_eye": (4, -64), "right_eye": (-4, -64), "left_ear": (9, -61), "right_ear": (-9, -61),
    "left_shoulder": (16, -44), "right_shoulder": (-16, -44), "left_elbow": (25, -22), "right_elbow": (-25, -22),
    "left_wrist": (28, 0), "right_wrist": (-28, 0), "left_hip": (10, 2), "right_hip": (-10, 2),
    "left_knee": (12, 34), "right_knee": (-12, 34), "left_ankle": (13, 66), "right_ankle": (-13, 66),
}  # fmt: skip


def draw(rng, size=(240, 200)):
    """A picture (H, W, 3) RGB of one person and the joints (17, 2); left limbs are green, right ones red."""
    height, width = size
    image = np.full((height, width, 3), rng.integers(30, 120, 3), np.uint8)
    joints = np.array([STANDING[name] for name in COCO17.joints], np.float32) * rng.uniform(0.9, 1.2)
    joints += rng.normal(0, 4, joints.shape)
    joints += np.array([width / 2, height / 2]) + rng.uniform(-15, 15, 2)
    for a, b in COCO17.edges:
        left = COCO17.joints[a].startswith("left") and COCO17.joints[b].startswith("left")
        right = COCO17.joints[a].startswith("right") and COCO17.joints[b].startswith("right")
        colour = (60, 220, 60) if left else (220, 60, 60) if right else (230, 230, 230)
        ends = [tuple(int(v) for v in np.round(joints[i] * 16)) for i in (a, b)]
        cv2.line(image, *ends, colour, 5, cv2.LINE_AA, 4)
    for i, joint in enumerate(joints):
        shade = 255 if i % 2 else 40
        centre = tuple(int(v) for v in np.round(joint * 16))
        cv2.circle(image, centre, 3 * 16, (shade, shade, 255 - 12 * i), -1, cv2.LINE_AA, 4)
    return image, joints


def shard(path: Path, count: int, seed: int = 0, labelled=range(17)) -> Path:
    """Write a zip shard of `count` drawn people, one a picture, to `path`."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(1, count + 1):
            picture, joints = draw(rng)
            low, high = joints.min(0) - 6, joints.max(0) + 6
            keypoints = np.concatenate([joints, np.full((17, 1), 2)], 1)
            keypoints[[j for j in range(17) if j not in labelled]] = 0
            encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            archive.writestr(f"images/{i}.png", encoded.tobytes())
            images.append({"id": i, "file_name": f"{i}.png", "width": 200, "height": 240})
            annotations.append({
                "id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "num_keypoints": len(list(labelled)),
                "bbox": [*low.tolist(), *(high - low).tolist()], "area": float(np.prod(high - low)) * 0.53,
                "keypoints": keypoints.astype(float).reshape(-1).tolist(),
            })  # fmt: skip
        archive.writestr("annotations.json", json.dumps(
            {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
        ))  # fmt: skip
    return path
