"""A pretrained body made cheap to train on the CPU: frozen norms ride in the convolutions, the depthwise learn in fp32.

State dicts keep their names and their meaning: what trains here loads into the plain network and gives the same maps.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["fuse_norms"]


class _PassedNorm(nn.BatchNorm2d):
    """A frozen batch norm that has become a bias: its convolution adds it, here nothing is left to do."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class _BiasedConv(nn.Conv2d):
    """A convolution that adds the bias of the norm behind it."""

    norms: list[_PassedNorm]
    """In a list, so that the norm stays the sibling's child and not this one's."""

    def forward(self, x: Tensor) -> Tensor:
        bias = self.norms[0].bias
        if self.groups > 1 and self.weight.requires_grad and torch.is_autocast_enabled(x.device.type) and not x.is_cuda:
            # the derivative of a bf16 depthwise convolution is slow on CPUs, its value is not
            with torch.autocast(x.device.type, enabled=False):
                return cast(Tensor, _Depthwise.apply(x, self.weight, bias, self.stride, self.padding))
        return cast(Tensor, self._conv_forward(x, self.weight, bias))


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution in the type of its input, differentiated in fp32."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight.to(x.dtype), bias.to(x.dtype), stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = torch.ops.aten.convolution_backward(
            grads[0].float(), x.float(), weight, [len(weight)], ctx.stride, ctx.padding, (1, 1), False, (0, 0),
            len(weight), (True, True, True),
        )  # fmt: skip
        return to_x.to(x.dtype), to_weight, to_bias, None, None


def fuse_norms(body: nn.Module) -> nn.Module:
    """`body` with every convolution and the batch norm behind it fused, in place; returns it.

    The norms keep their parameters: mean 0, variance 1, a weight that cancels the square root, and the bias, which
    is what still learns. They count no batches any more.
    """
    for parent in list(body.modules()):
        names = list(parent._modules)
        for name, following in pairwise(names):
            conv, norm = parent._modules[name], parent._modules[following]
            if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                passed = _passed(conv, norm)
                parent._modules[name], parent._modules[following] = _biased(conv, passed), passed
    return body


@torch.no_grad()
def _passed(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> _PassedNorm:
    """The norm as a bias; what it multiplied goes into the weights of `conv`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(gain[:, None, None, None])
    passed = _PassedNorm(norm.num_features, norm.eps)
    passed.bias.copy_(norm.bias - norm.running_mean * gain)
    passed.weight.fill_((1 + norm.eps) ** 0.5).requires_grad_(False)
    return passed


def _biased(conv: nn.Conv2d, norm: _PassedNorm) -> _BiasedConv:
    assert conv.bias is None
    assert isinstance(conv.padding, tuple)
    size, stride = cast(tuple[int, int], conv.kernel_size), cast(tuple[int, int], conv.stride)
    biased = _BiasedConv(
        conv.in_channels, conv.out_channels, size, stride, cast(tuple[int, int], conv.padding),
        groups=conv.groups, bias=False,
    )  # fmt: skip
    biased.weight = conv.weight
    biased.norms = [norm]
    return biased
