"""The CSP body and pyramid: the published network's size and strides."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList

from posetrack.cspnet import BINS, CSP_CHANNELS, CspBody, CspPyramid, DistanceProposals
from posetrack.detector import CSP, DetectorArchitecture, build_detector


def test_parameters_are_those_of_nanodet_g():
    """3.81 M are published, with the batch norms that are folded here."""
    parts = [CspPyramid(), DistanceProposals(128, 1, 1)]
    assert sum(p.numel() for part in parts for p in part.parameters()) == 3_786_068


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
@torch.inference_mode()
def test_levels_have_their_strides(height, width):
    maps = CspPyramid(16)(torch.zeros(2, 3, height, width))
    assert list(maps) == ["0", "1", "2"]
    for x, stride in zip(maps.values(), (8, 16, 32), strict=True):
        assert x.shape == (2, 16, height // stride, width // stride)


class Answers(nn.Module):
    """Stands for the head: gives the maps that it is given."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return features


def one_answer(stride: int, row: int, column: int, sides: tuple[int, int, int, int]) -> dict[str, torch.Tensor]:
    """Maps of a 64 x 96 picture that say: here is a person, its sides so many strides away."""
    maps = {str(i): torch.zeros(1, 1 + 4 * BINS, 64 // s, 96 // s) for i, s in enumerate((8, 16, 32))}
    for x in maps.values():
        x[:, 0] = -20
    x = maps[{8: "0", 16: "1", 32: "2"}[stride]]
    x[0, 0, row, column] = 2
    for side, distance in enumerate(sides):
        x[0, 1 + BINS * side + distance, row, column] = 50
    return maps


@pytest.mark.parametrize(
    ("stride", "row", "column", "sides", "box"),
    [
        (8, 3, 5, (1, 2, 1, 3), (36, 12, 52, 52)),
        (16, 1, 2, (2, 1, 1, 1), (8, 8, 56, 40)),
        (32, 0, 1, (2, 2, 9, 9), (0, 0, 96, 64)),  # clipped to the picture
    ],
)
def test_a_place_answers_with_its_distances(stride, row, column, sides, box):
    proposals = DistanceProposals(8, 20, 5, classes=1)
    proposals.head = Answers()
    images = ImageList(torch.zeros(1, 3, 64, 96), [(64, 96)])
    (found,), losses = proposals(images, one_answer(stride, row, column, sides))
    assert losses == {}
    assert found.shape[1] == 5
    assert found[0, :4].tolist() == pytest.approx(box, abs=1e-3)
    assert found[0, 4].item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())
    assert (found[:, 4].diff() <= 0).all()


@torch.inference_mode()
def test_the_score_is_the_geometric_mean():
    torch.manual_seed(0)
    network = build_detector(DetectorArchitecture(CSP, min_size=64, max_size=96, pyramid=8)).eval()
    heads = network.roi_heads
    heads.score_thresh = 0.0
    predictor = heads.box_predictor
    predictor.cls_score.weight.zero_()
    predictor.cls_score.bias.copy_(torch.tensor([0.0, 1.0]))
    predictor.bbox_pred.weight.zero_()
    predictor.bbox_pred.bias.zero_()
    features = {str(i): torch.randn(1, 8, 64 // s, 96 // s) for i, s in enumerate((8, 16, 32))}
    proposal = torch.tensor([[4.0, 5.0, 20.0, 50.0, 0.64], [40.0, 5.0, 60.0, 50.0, 0.25]])
    (result,), _ = heads(features, [proposal], [(64, 96)])
    says = torch.sigmoid(torch.tensor(1.0))
    assert torch.allclose(result["scores"], (proposal[:, 4] * says).sqrt())
    assert torch.allclose(result["boxes"], proposal[:, :4], atol=1e-4)


@torch.inference_mode()
def test_channels_of_the_body():
    x = torch.zeros(1, 3, 64, 64)
    channels = []
    for module in CspBody():
        x = module(x)
        channels.append(x.shape[1])
    assert tuple(channels[-3:]) == CSP_CHANNELS
