"""The number types that networks compute in."""

from __future__ import annotations

import torch

from posetrack.errors import DeviceError

__all__ = ["working_dtype"]


def working_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The type that networks compute in: 'auto' is fp16 on CUDA, bf16 on CPUs that multiply it, else fp32.

    fp16 on a CPU is a DeviceError, another word a ValueError.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if device.type == "cpu" and _cpu_has_bf16() else torch.float32
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in types:
        raise ValueError(f"no precision '{precision}'; there are auto, {', '.join(types)}")
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 is for GPUs; use --precision bf16 or fp32 on the CPU")
    return types[precision]


def _cpu_has_bf16() -> bool:
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
