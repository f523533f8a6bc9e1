"""The smallest task for the loop: a line through numbers. As a program it runs in one of torchrun's processes."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from posetrack.train.loop import LoopSettings, run_loop


class _Line(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.line = nn.Linear(width, 1)

    def forward(self, batch):
        x, y = batch
        return ((self.line(x) - y) ** 2).mean()


class LineTask:
    """Learn y = sum(x); Ctrl-C or a NaN at a step of choice."""

    def __init__(self, width=3, interrupt_at=-1, times=1, poison_at=-1):
        torch.manual_seed(0)
        self.network = _Line(width)
        self.width, self.interrupt_at, self.times, self.poison_at = width, interrupt_at, times, poison_at

    def groups(self):
        return [{"params": [self.network.line.weight]}, {"params": [self.network.line.bias], "factor": 0.5}]

    def batch(self, step, rank, world):
        x = torch.from_numpy(np.random.default_rng(step).standard_normal((8, self.width)).astype(np.float32))
        if step == self.poison_at:
            x[0] = torch.nan
        return step, x.chunk(world)[rank]

    def to_device(self, batch, device):
        step, x = batch
        if step == self.interrupt_at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        return x.to(device), x.sum(1, keepdim=True).to(device)

    def validate(self, network):
        return {"score": -float((network.line.weight - 1).abs().mean())}

    def describe(self):
        return {"kind": "line"}

    def export(self, network, path, figures):
        path.write_text(json.dumps(figures))


if __name__ == "__main__":
    settings = LoopSettings(steps=24, rate=0.05, warmup=4, validate_every=6, save_every=5, log_every=8, average=0.9)
    run_loop(LineTask(), settings, Path(sys.argv[1]))
