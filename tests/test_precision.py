"""The number types that networks compute in."""

import pytest
import torch

from posetrack.errors import DeviceError
from posetrack.precision import working_dtype


@pytest.mark.parametrize(
    ("device", "precision", "dtype"),
    [
        ("cpu", "fp32", torch.float32),
        ("cpu", "bf16", torch.bfloat16),
        ("cuda", "auto", torch.float16),
        ("cuda", "bf16", torch.bfloat16),
        ("mps", "auto", torch.float32),
    ],
)
def test_working_dtype(device, precision, dtype):
    assert working_dtype(torch.device(device), precision) == dtype


def test_precision_that_does_not_go():
    assert working_dtype(torch.device("cpu"), "auto") in (torch.bfloat16, torch.float32)
    with pytest.raises(DeviceError, match="fp16 is for GPUs"):
        working_dtype(torch.device("cpu"), "fp16")
    with pytest.raises(ValueError, match="no precision 'int8'"):
        working_dtype(torch.device("cpu"), "int8")
