"""Pose training: what it starts from, what it exports, what it measures, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stick_people import shard
from torch import nn

from posetrack.backbone import MobileNetBody
from posetrack.errors import WeightsError
from posetrack.pose.estimator import PoseEstimator
from posetrack.pose.heatmap import decode
from posetrack.pose.network import PoseArchitecture, build_pose_network
from posetrack.pose.spec import PoseSpec
from posetrack.skeleton import COCO17
from posetrack.train.augment import Augmentation
from posetrack.train.crops import make_batch, open_people, preview
from posetrack.train.data import Shard
from posetrack.train.frozen import fuse_norms
from posetrack.train.loop import LoopSettings
from posetrack.train.pose import PoseLearner, PoseRecipe, PoseTask, Teacher, export, network_of, train_pose
from posetrack.train.score import score_pose
from posetrack.train.start import start_from
from posetrack.train.targets import heatmaps, to_heatmap
from posetrack.train.validation import Validation
from posetrack.weights.files import build_network, load_weights, save_weights

SMALL = PoseRecipe(
    PoseArchitecture("mobilenet_v2", 17, (16, 16, 16), laterals=True), 64, 64, batch=4,
    augmentation=Augmentation.none(),
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return shard(tmp_path_factory.mktemp("drawn") / "drawn.zip", 8)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """A MobileNetV2 body whose batch norms have seen something, as safetensors."""
    from safetensors.torch import save_file

    torch.manual_seed(3)
    network = MobileNetBody()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    path = tmp_path_factory.mktemp("body") / "body.safetensors"
    save_file(network.state_dict(), path)
    return path


def _bodies(path):
    plain = build_pose_network(SMALL.architecture)
    start_from(plain, path)
    fused = build_pose_network(SMALL.architecture)
    fused.load_state_dict(plain.state_dict())
    fuse_norms(fused.body)
    return plain.eval(), fused.eval()


def test_fused_norms_change_nothing_but_the_speed(body):
    plain, fused = _bodies(body)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fused.body(images), plain.body(images), atol=1e-4, rtol=1e-4)
    again = build_pose_network(SMALL.architecture).eval()
    again.load_state_dict(fused.state_dict())
    torch.testing.assert_close(again(images), fused(images), atol=1e-5, rtol=1e-4)


def test_depthwise_gradients_in_bf16_are_those_of_fp32(body):
    _, fused = _bodies(body)
    conv = fused.body[5].conv[1][0]
    images = torch.randn(2, conv.in_channels, 16, 16, requires_grad=True, generator=torch.Generator().manual_seed(0))
    exact = torch.autograd.grad(conv(images).square().sum(), [images, conv.weight, conv.norms[0].bias])
    with torch.autocast("cpu", torch.bfloat16):
        rough = torch.autograd.grad(
            conv(images.bfloat16()).float().square().sum(), [images, conv.weight, conv.norms[0].bias]
        )
    for a, b in zip(exact, rough, strict=True):
        assert (a - b).norm() < 0.02 * a.norm()


def test_a_start_freezes_norms_and_the_first_modules(body, drawn):
    people = open_people([(drawn, 0)], None, 1.0)
    task = PoseTask(replace(SMALL, start=str(body), frozen=4), people)
    before = {key: value.clone() for key, value in task.learner.state_dict().items()}
    optimizer = torch.optim.Adam([{k: v for k, v in group.items() if k == "params"} for group in task.groups()], 1e-2)
    for step in range(2):
        task.learner.train()
        task.learner(task.batch(step)).backward()
        optimizer.step()
    for name, value in task.learner.state_dict().items():
        early = name.startswith(tuple(f"pose.body.{i}." for i in range(4)))
        if early or (name.startswith("pose.body") and "running" in name):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(task.learner.pose.body[6].conv[0][0].weight, before["pose.body.6.conv.0.0.weight"])


def test_groups_give_the_body_its_own_rate_and_spare_biases(drawn):
    task = PoseTask(replace(SMALL, body_factor=0.25), open_people([(drawn, 0)], None, 1.0))
    groups = task.groups()
    assert {group["factor"] for group in groups} == {0.25, 1.0}
    for group in groups:
        for parameter in group["params"]:
            assert (parameter.ndim > 1) == ("weight_decay" not in group)
    assert sum(len(group["params"]) for group in groups) == len(list(task.learner.parameters()))


def test_a_start_of_another_kind_is_refused(tmp_path, body):
    with pytest.raises(WeightsError, match="no such"):
        start_from(build_pose_network(SMALL.architecture), tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="nothing in it fits"):
        start_from(build_pose_network(PoseArchitecture("resnet18")), body)
    (tmp_path / "bad.safetensors").write_bytes(b"12345678")
    with pytest.raises(WeightsError, match="damaged"):
        start_from(build_pose_network(SMALL.architecture), tmp_path / "bad.safetensors")


def test_an_imagenet_checkpoint_gives_its_body(tmp_path):
    from torchvision.models import resnet18

    torch.manual_seed(1)
    network = resnet18()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    pose = build_pose_network(PoseArchitecture("resnet18"))
    taken = start_from(pose, tmp_path / "resnet18.pth")
    assert torch.equal(pose.layer4[1].conv2.weight, network.layer4[1].conv2.weight)
    assert not any(name.startswith(("deconv", "final", "fc")) for name in taken)


def test_recipes_survive_text():
    recipe = replace(SMALL, augmentation=replace(Augmentation(), scale=0.1), start="a", training_data="b")
    assert PoseRecipe.from_json(recipe.to_json()) == recipe


def test_batches_depend_on_step_and_process_alone(drawn):
    task = PoseTask(replace(SMALL, augmentation=Augmentation()), open_people([(drawn, 0)], None, 1.0), seed=1)
    first, again, other, half = task.batch(3), task.batch(3), task.batch(4), task.batch(3, 1, 2)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.images, other.images)
    assert len(half.images) == 2
    assert not torch.equal(half.images[0], first.images[0])


def test_twelve_joints_are_twelve_weights(tmp_path):
    people = open_people([(shard(tmp_path / "twelve.zip", 3, labelled=range(5, 17)), 0)], None, 1.0)
    batch = make_batch(np.random.default_rng(0), people, 6, (64, 64), 4, Augmentation.none())
    assert batch.weight[:, :5].max() == 0
    assert batch.weight[:, 5:].min() == 1


def test_perfect_heatmaps_score_one(drawn):
    """Targets read back through decoding and pycocotools: crops, maps and pixels fit together below a pixel."""
    validation = Validation.cut(Shard(drawn), 192, 128, 4)
    maps = iter([validation.target, validation.target.flip(3)[:, list(COCO17.flip_order)]])
    figures = validation.figures(lambda images: next(maps))
    assert figures["val_loss"] == 0
    assert figures["ap"] == pytest.approx(1)
    assert figures["ap_no_flip"] == pytest.approx(1)


def test_a_teacher_speaks_in_the_students_convention(tmp_path, drawn):
    """Heatmaps of a biased teacher lie 0.375 pixels less far; sizes and colours are put right."""
    recipe = replace(SMALL, height=96, width=64)
    architecture = PoseArchitecture("resnet18", 17, (16, 16, 16))
    network = build_pose_network(architecture)
    spec = replace(PoseRecipe(architecture, 96, 64).spec, input=replace(recipe.spec.input, unbiased=False))
    path = tmp_path / "teacher.safetensors"
    save_weights(path, network.state_dict(), spec.to_metadata())
    teacher = Teacher(load_weights(path), recipe)
    joints = np.full((1, 17, 3), 1, np.float32)
    joints[..., :2] = [33.3, 51.7]
    biased, _ = heatmaps(joints * [0.25, 0.25, 1], (24, 16), 1.0)
    teacher.network = nn.Sequential(_Constant(torch.from_numpy(biased)))
    mine = teacher.heatmaps(torch.zeros(1, 96, 64, 3, dtype=torch.uint8))
    joints[..., :2] = to_heatmap(joints[..., :2], 4)
    np.testing.assert_allclose(decode(mine.numpy(), "dark")[..., :2], joints[..., :2], atol=0.05)
    with pytest.raises(WeightsError, match="aspect"):
        Teacher(load_weights(path), SMALL)


class _Constant(nn.Module):
    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def forward(self, images):
        return self.maps


def test_a_teacher_is_learned_from(tmp_path, drawn):
    path = tmp_path / "teacher.safetensors"
    export(build_pose_network(SMALL.architecture), SMALL, path, {})
    recipe = replace(SMALL, distill=1.0)
    task = PoseTask(recipe, open_people([(drawn, 0)], None, 1.0), teacher=Teacher(load_weights(path), recipe))
    batch = task.to_device(task.batch(0), torch.device("cpu"))
    assert batch.soft is not None
    assert batch.soft.shape == batch.target.shape
    alone = task.learner.eval()(replace(batch, soft=None))
    taught = task.learner(replace(batch, soft=batch.soft + 1))
    assert taught > alone + 0.5


def test_preview_is_a_picture(tmp_path, drawn):
    people = open_people([(drawn, 0)], None, 2 / 3)
    preview(make_batch(np.random.default_rng(0), people, 7, (96, 64), 4, Augmentation()), tmp_path / "look.png")
    assert (tmp_path / "look.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory, drawn):
    """Eight drawn people learned by heart."""
    out = tmp_path_factory.mktemp("run")
    recipe = PoseRecipe(height=128, width=96, batch=8, augmentation=Augmentation.none(), training_data="drawn people")
    settings = LoopSettings(steps=200, rate=2e-3, warmup=20, average=0.9, validate_every=200, save_every=1000)
    figures = train_pose([(drawn, 0)], out, recipe, settings, truth=drawn, say=lambda line: None)
    return out, figures


def test_eight_people_are_learned_by_heart(overfitted):
    """AP 1 at every threshold up to 0.95 means an OKS above 0.95 for every one of them."""
    _, figures = overfitted
    assert figures["ap_no_flip"] > 0.99


def test_a_checkpoint_and_an_export_are_the_same_network(overfitted, drawn):
    out, figures = overfitted
    network, recipe, best = network_of(out / "best.pt")
    weights = load_weights(out / "best.safetensors", "pose")
    assert weights.metadata["training_data"] == "drawn people"
    assert PoseRecipe.from_json(weights.metadata["recipe"]) == recipe
    assert best == figures
    images = torch.randn(2, 3, 128, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(build_network(weights)(images), network(images), atol=0.02, rtol=0.02)
    spec = PoseSpec.from_metadata(weights.metadata)
    assert spec == recipe.spec
    scores = score_pose(PoseEstimator(build_network(weights), spec), Shard(drawn))
    assert scores["ap"] > 0.99
    assert scores["ms_per_item"] > 0


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    torch.save({"task": {"kind": "detector"}}, tmp_path / "last.pt")
    with pytest.raises(WeightsError, match="holds a detector"):
        network_of(tmp_path / "last.pt")


def test_unlabelled_sets_teach_without_truth(tmp_path, drawn):
    settings = LoopSettings(steps=2, warmup=0)
    figures = train_pose([(drawn, 1.0)], tmp_path / "run", SMALL, settings, say=lambda line: None)
    assert figures["score"] == 0
    learner = PoseLearner(network_of(tmp_path / "run/last.pt")[0], SMALL)
    assert learner.heatmaps(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (1, 17, 16, 16)
