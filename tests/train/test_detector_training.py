"""Detector training: ignored regions teach nothing, the fast body learns as the plain one, six pictures are learned."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models.detection.image_list import ImageList

from posetrack.detector import CSP, Detector, DetectorArchitecture, build_detector
from posetrack.errors import WeightsError
from posetrack.train.detector import DetectorRecipe, DetectorTask, network_of, open_pictures, train_detector
from posetrack.train.detector_losses import detector_losses, share_inside
from posetrack.train.detector_network import LearningDetector
from posetrack.train.loop import LoopSettings, read_checkpoint, run_loop
from posetrack.train.scenes import Scene, SceneSettings
from posetrack.train.score_detector import recall_at, score_boxes
from posetrack.types import Boxes

POSE = Path(__file__).parents[2] / "weights" / "pose.safetensors"
MOBILE = DetectorArchitecture(min_size=128, max_size=160)
LIGHT_ONES = [MOBILE, DetectorArchitecture(CSP, min_size=128, max_size=160, pyramid=32, canonical=112)]


def boxes(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def learner(architecture: DetectorArchitecture) -> LearningDetector:
    torch.manual_seed(0)
    network = LearningDetector(architecture)
    network.start_from({})
    return network.train()


@pytest.mark.parametrize(
    ("box", "regions", "share"),
    [
        ((0, 0, 10, 10), [], 0.0),
        ((0, 0, 10, 10), [(5, 0, 20, 10)], 0.5),
        ((0, 0, 10, 10), [(-5, -5, 20, 20)], 1.0),
        ((0, 0, 10, 10), [(10, 0, 20, 10)], 0.0),
        ((0, 0, 10, 10), [(0, 0, 2, 10), (0, 0, 10, 4)], 0.4),
    ],
)
def test_share_inside(box, regions, share):
    assert share_inside(boxes(box), boxes(*regions)).item() == pytest.approx(share)


def test_losses_are_torchvisions_where_nothing_is_ignored():
    network = build_detector(MOBILE).train()
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) - 0.5
    people = [boxes((20, 20, 60, 100)), boxes((5, 40, 30, 90), (60, 10, 100, 120))]
    targets = [{"boxes": p, "labels": torch.ones(len(p), dtype=torch.int64)} for p in people]
    shapes = ImageList(images, [(128, 128)] * 2)

    torch.manual_seed(5)
    ours = detector_losses(network, images, people, [boxes(), boxes()])
    torch.manual_seed(5)
    features = network.backbone(images)
    proposals, theirs = network.rpn(shapes, features, targets)
    _, heads = network.roi_heads(features, proposals, shapes.image_sizes, targets)
    theirs.update(heads)
    for name, same in (
        ("objectness", "loss_objectness"),
        ("proposal", "loss_rpn_box_reg"),
        ("class", "loss_classifier"),
        ("box", "loss_box_reg"),
    ):
        assert ours[name].item() == pytest.approx(theirs[same].item(), abs=1e-5)


@pytest.mark.parametrize("architecture", LIGHT_ONES)
def test_a_wholly_ignored_picture_teaches_nothing(architecture):
    images = torch.rand(1, 3, 128, 128)
    everything = boxes((-300, -300, 500, 500))
    losses = detector_losses(learner(architecture).network, images, [boxes()], [everything])
    assert sum(loss.item() for loss in losses.values()) == 0
    sum(losses.values()).backward()


@pytest.mark.parametrize(
    ("architecture", "names"),
    list(zip(LIGHT_ONES, [{"objectness", "proposal", "class", "box"}, {"class", "box"}], strict=True)),
)
def test_people_in_an_ignored_region_still_teach(architecture, names):
    images = torch.rand(1, 3, 128, 128)
    everything = boxes((-300, -300, 500, 500))
    losses = detector_losses(learner(architecture).network, images, [boxes((20, 20, 70, 120))], [everything])
    assert set(losses) == names
    assert all(loss.item() > 0 for loss in losses.values())


def plain_detector(architecture: DetectorArchitecture) -> nn.Module:
    """Random weights, whose batch norms (MobileNetV2 has them) do something."""
    torch.manual_seed(0)
    network = build_detector(architecture).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.uniform_(-0.1, 0.1)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.uniform_(-0.1, 0.1)
    return network


@pytest.mark.parametrize("architecture", LIGHT_ONES)
def test_the_fast_body_is_the_plain_one(architecture):
    plain = plain_detector(architecture)
    fast = LearningDetector(architecture, frozen=4)
    fast.start_from(plain.state_dict())
    fast.train()
    x = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) - 0.5
    outputs = []
    for backbone in (plain.backbone, fast.network.backbone):
        maps = backbone(x)
        if any(value.requires_grad for value in maps.values()):
            sum(value.square().mean() for value in maps.values()).backward()
        outputs.append(maps)
    for key, value in outputs[0].items():
        assert torch.allclose(value, outputs[1][key], atol=1e-4 * float(value.detach().abs().max()))
    learned = {name for name, p in fast.network.named_parameters() if p.grad is not None}
    if architecture == MOBILE:
        assert not any(name.startswith(("backbone.body.0", "backbone.body.3")) for name in learned)
        for module in (5, 10, 16):
            convolution, norm = plain.backbone.body[module].conv[1][0], plain.backbone.body[module].conv[1][1]
            gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps))[:, None, None, None]
            a, b = convolution.weight.grad, gain * fast.network.backbone.body[module].conv[1][0].weight.grad
            assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))
    else:
        assert not learned


@pytest.mark.parametrize("architecture", LIGHT_ONES)
def test_plain_weights_survive_training(architecture):
    plain = plain_detector(architecture)
    learner = LearningDetector(architecture)
    learner.start_from(plain.state_dict())
    again = build_detector(architecture).eval()
    again.load_state_dict(learner.plain_state(), strict=True)
    x = torch.rand(1, 3, 64, 64) - 0.5
    with torch.no_grad():
        for a, b in zip(plain.backbone(x).values(), again.backbone(x).values(), strict=True):
            assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))


@pytest.mark.parametrize(
    ("state", "fits"),
    [
        ("whole", "rpn.head.levels.0.0.weight"),
        ("backbone", "backbone.laterals.0.weight"),
        ("body", "backbone.body.0.0.weight"),
    ],
)
def test_training_starts_from_whatever_fits(state, fits):
    other = plain_detector(LIGHT_ONES[1])
    part = {"whole": other, "backbone": other.backbone, "body": other.backbone.body}[state]
    learner = LearningDetector(LIGHT_ONES[1])
    assert fits in learner.start_from(part.state_dict())
    assert torch.equal(learner.plain_state()[fits], other.state_dict()[fits])


def test_a_start_that_does_not_fit_is_refused(tmp_path):
    save_file({"embedding": torch.zeros(3, 3)}, tmp_path / "words.safetensors")
    for name, what in (("words.safetensors", "nothing in it fits"), ("none.safetensors", "no such weights")):
        with pytest.raises(WeightsError, match=what):
            DetectorTask(DetectorRecipe(start=str(tmp_path / name)), FewPictures(1, 96))


def test_another_detector_keeps_its_batch_norms():
    network = LearningDetector(DetectorArchitecture("fasterrcnn_mobilenet_v3_large_320_fpn", classes=2)).train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(module.training for module in norms)
    before = norms[0].running_mean.clone()
    image = torch.zeros(1, 96, 96, 3, dtype=torch.uint8)
    loss = network((image, [boxes((10, 10, 50, 90))], [boxes()]))
    loss.backward()
    assert torch.equal(before, norms[0].running_mean)


class FewPictures:
    """People drawn as heads, trunks and legs over textures; each picture in turn."""

    def __init__(self, count: int, size: int) -> None:
        self.scenes = [_street(np.random.default_rng(seed), size) for seed in range(count)]

    def draw(self, rng: np.random.Generator) -> Scene:
        return self.scenes[int(rng.integers(len(self.scenes)))]


def _street(rng: np.random.Generator, size: int) -> Scene:
    ground = rng.integers(60, 200, (7, 7, 3), np.uint8)
    image = cv2.resize(ground, (size, size), interpolation=cv2.INTER_CUBIC)
    people = []
    for column in range(int(rng.integers(1, 4))):
        height = int(rng.integers(size // 4, int(size * 0.7)))
        x = int(size * (0.2 + 0.3 * column) + rng.integers(-4, 5))
        y = int(rng.integers(2, size - height - 2))
        people.append(_person(image, x, y, height, rng))
    return Scene(image, np.array(people, np.float32))


def _person(image: np.ndarray, x: int, y: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    head, width = height // 8, height // 6
    shirt, trousers = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    cv2.circle(image, (x, y + head), head, (224, 180, 150), -1)
    cv2.rectangle(image, (x - width, y + 2 * head), (x + width, y + height // 2), shirt, -1)
    for side in (-1, 1):
        foot = x + side * width * 2 // 3
        cv2.rectangle(image, (foot - width // 3, y + height // 2), (foot + width // 3, y + height), trousers, -1)
    return x - width, y, x + width + 1, y + height + 1


class Labels:
    """Scenes as `score_boxes` wants labelled pictures."""

    def __init__(self, scenes: list[Scene]) -> None:
        self.images = {i: {"id": i} for i in range(len(scenes))}
        self.annotations = []
        for i, scene in enumerate(scenes):
            for x1, y1, x2, y2 in scene.people.tolist():
                bbox = [x1, y1, x2 - x1, y2 - y1]
                self.annotations.append({"id": len(self.annotations) + 1, "image_id": i, "bbox": bbox})


def task_on(few: FewPictures, settings: SceneSettings, batch: int) -> DetectorTask:
    labels = Labels(few.scenes)

    def judge(detector: Detector) -> dict[str, float]:
        found = dict(enumerate(detector.detect([scene.image for scene in few.scenes])))
        return score_boxes(found, labels)

    recipe = DetectorRecipe(MOBILE, settings, batch, str(POSE), licence="CC0")
    return DetectorTask(recipe, few, judge)


def test_six_pictures_are_learned(tmp_path):
    """AP50 above 0.95, through the loop, the checkpoint and the exported file."""
    few = FewPictures(6, 160)
    settings = SceneSettings(160, 128, 160, (0.95, 1.3), mosaic=0.2, mosaic_zoom=(0.6, 1.0), recolour=0, blur=0)
    task = task_on(few, settings, 4)
    loop = LoopSettings(steps=110, rate=1e-3, warmup=10, clip=10, average=0.95, validate_every=110, save_every=110)
    best = run_loop(task, loop, tmp_path, say=lambda line: None)
    assert best["ap50"] > 0.95

    exported = tmp_path / "best.safetensors"
    with safe_open(exported, "pt") as file:
        metadata = file.metadata()
    assert metadata["kind"] == "detector"
    assert metadata["licence"] == "CC0"
    network = build_detector(MOBILE)
    network.load_state_dict({key: value.float() for key, value in load_file(exported).items()}, strict=True)
    found = Detector(network).detect([scene.image for scene in few.scenes])
    assert [len(b) for b in found] == pytest.approx([len(s.people) for s in few.scenes], abs=1)


def test_a_resumed_run_is_the_run_that_was_left_alone(tmp_path):
    few = FewPictures(3, 96)
    settings = SceneSettings(96, 96, 96)
    for folder, stops in (("whole", (4,)), ("halves", (2, 4))):
        for steps in stops:
            # the schedule is that of four steps; the first half stops early
            loop = LoopSettings(steps=4, rate=1e-3, warmup=0, schedule="step", validate_every=99, save_every=1)
            task = task_on(few, settings, 2)
            if steps < 4:
                task.batch = _until(task.batch, steps)  # type: ignore[method-assign]
            try:
                run_loop(task, loop, tmp_path / folder, resume=steps == 4 and len(stops) == 2, say=lambda line: None)
            except KeyboardInterrupt:
                assert steps < 4
    whole, halves = (read_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "halves"))
    assert whole["step"] == halves["step"] == 4
    for part in ("network", "average"):
        for key, value in whole[part].items():
            assert torch.equal(value, halves[part][key]), key


def _until(batch, steps):
    def limited(step, rank, world):
        if step >= steps:
            raise KeyboardInterrupt
        return batch(step, rank, world)

    return limited


def test_a_checkpoint_gives_its_detector_back(tmp_path):
    few = FewPictures(1, 96)
    loop = LoopSettings(steps=1, rate=1e-3, warmup=0, validate_every=9)
    task = task_on(few, SceneSettings(96, 96, 96), 1)
    run_loop(task, loop, tmp_path, say=lambda line: None)
    learner, _ = network_of(tmp_path / "last.pt", average=False)
    before, after = task.learner.plain_state(), learner.plain_state()
    for key, value in before.items():
        assert torch.equal(value, after[key]), key


def test_training_on_shards(tmp_path):
    """From a zip with ignored regions and machine-made boxes to an exported file, validated on the same zip."""
    scenes = FewPictures(4, 96).scenes
    data = tmp_path / "few.zip"
    labels = Labels(scenes)
    labels.annotations[0]["iscrowd"] = 1
    with zipfile.ZipFile(data, "w") as file:
        images = [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 96} for i in labels.images]
        file.writestr("annotations.json", json.dumps({"images": images, "annotations": labels.annotations}))
        for i, scene in enumerate(scenes):
            file.writestr(f"images/{i}.png", cv2.imencode(".png", scene.image[..., ::-1])[1].tobytes())
    with zipfile.ZipFile(tmp_path / "machine.zip", "w") as file:
        file.writestr("boxes/few.json", json.dumps([{"image_id": 1, "bbox": [1, 1, 9, 30], "score": 0.3}]))

    pictures = open_pictures([(data, 2.0)], tmp_path / "machine.zip", {"few": 1.5})
    assert [p.weight for p in pictures] == [3.0] * 4
    assert len(pictures[0].ignored) == len(pictures[1].ignored) == 1

    recipe = DetectorRecipe(LIGHT_ONES[1], SceneSettings(96, 96, 96), batch=2)
    loop = LoopSettings(steps=2, rate=1e-4, warmup=0, validate_every=2)
    best = train_detector([(data, 1.0)], tmp_path / "run", recipe, loop, truth=data, say=lambda line: None)
    assert {"ap", "ap50", "ap75", "ar", "recall_at_1_fppi", "ms_per_item", "score"} <= set(best)
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_recall_at_one_false_box_an_image():
    scenes = [Scene(np.zeros((50, 50, 3), np.uint8), np.array([[0, 0, 10, 20], [20, 0, 30, 20]], np.float32))] * 2
    right, wrong = [0, 0, 10, 20], [35, 30, 45, 49]
    second = [20, 0, 30, 20]
    found = {
        0: Boxes(np.array([wrong, right], np.float32), np.array([0.9, 0.8], np.float32)),
        1: Boxes(np.array([right, wrong, wrong, second], np.float32), np.array([0.95, 0.7, 0.6, 0.5], np.float32)),
    }
    figures = score_boxes(found, Labels(scenes))
    # the third false box comes before the last person, and two are allowed on two pictures
    assert figures["recall_at_1_fppi"] == pytest.approx(0.5)
    assert recall_at([None], 1) == 0
    assert score_boxes({0: Boxes.empty(), 1: Boxes.empty()}, Labels(scenes))["ap50"] in (0, -1)


def test_crowds_count_neither_way():
    labels = Labels([Scene(np.zeros((50, 50, 3), np.uint8), np.array([[0, 0, 10, 20]], np.float32))])
    labels.annotations.append({"id": 2, "image_id": 0, "bbox": [20, 0, 30, 50], "iscrowd": 1})
    found = Boxes(np.array([[22, 1, 30, 20], [0, 0, 10, 20]], np.float32), np.array([0.9, 0.8], np.float32))
    assert score_boxes({0: found}, labels)["ap50"] == pytest.approx(1.0)
