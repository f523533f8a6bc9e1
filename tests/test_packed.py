"""Packed convolutions give what plain ones give, and the same for one image whoever is beside it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from weight_rule import by_rule

from posetrack.fused import can_fuse
from posetrack.packed import PackedConvolution, pack_convolutions
from posetrack.pose.network import PoseArchitecture, build_pose_network, fold_batch_norms

pytestmark = pytest.mark.skipif(not can_fuse(), reason="this torch or processor has no packed convolutions")

ARCHITECTURES = [
    PoseArchitecture("mobilenet_v2", 17, (32, 24, 16)),
    PoseArchitecture("mobilenet_v2", 17, (32, 24, 16), laterals=True),
    PoseArchitecture("resnet18", deconv_filters=(64, 48, 32), deconv_kernels=(4, 3, 2)),
    PoseArchitecture("resnet50", deconv_filters=(64, 64, 32), stride_first=True, deconv_bias=True, final_kernel=3),
]


@pytest.fixture(params=ARCHITECTURES, ids=lambda a: a.body + "-laterals" * a.laterals)
def folded(request):
    return fold_batch_norms(by_rule(build_pose_network(request.param)))


def _images(count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    images = torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(count))
    return images.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
@torch.inference_mode()
def test_packing_changes_nothing_but_time(folded, dtype, tolerance):
    if not can_fuse(dtype):
        pytest.skip(f"this processor does not pack {dtype}")
    plain = folded.to(dtype).to(memory_format=torch.channels_last)
    packed = pack_convolutions(copy.deepcopy(plain), _images(4, dtype))
    assert not any(isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) for module in packed.modules())
    for count in (4, 1):
        images = _images(count, dtype)
        assert torch.allclose(packed(images), plain(images), atol=tolerance)


@torch.inference_mode()
def test_one_image_has_the_same_bits_in_any_company_on_one_thread(folded):
    packed = pack_convolutions(folded.to(memory_format=torch.channels_last), _images(8))
    images = _images(9)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = packed(images)
        for count in (1, 3, 8):
            assert torch.equal(packed(images[:count]), expected[:count])
        assert torch.equal(packed(images.flip(0)).flip(0), expected)
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def test_only_activations_right_behind_a_convolution_in_a_sequence_go_into_it():
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.ReLU()

    def packed(network: nn.Module) -> nn.Module:
        return pack_convolutions(network.eval(), _images(1))

    sequence = packed(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Identity(), nn.ReLU6(), nn.Sigmoid()))
    assert [type(child) for child in sequence] == [PackedConvolution, nn.Identity, nn.Identity, nn.Sigmoid]
    between = packed(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), nn.ReLU()))
    assert [type(child) for child in between] == [PackedConvolution, nn.Sigmoid, nn.ReLU]
    other = Other()
    other.forward = lambda x: other.second(other.first(x))
    assert isinstance(packed(other).second, nn.ReLU)
