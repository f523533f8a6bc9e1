"""The loop: batches in, checkpoints, a log and a curve out.

A `Task` says what is learned; the loop knows nothing of people. Batch number `step` depends on the seed and the step
alone, so a resumed run sees the pictures that an uninterrupted one would have seen; optimizer, schedule, moving average
and random state are in the checkpoint. Under `torchrun` every process takes its own share of each batch.
"""

from __future__ import annotations

import copy
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from posetrack.errors import OutputError, WeightsError
from posetrack.train.log import Log

__all__ = ["Average", "LoopSettings", "Run", "Task", "World", "batches", "read_checkpoint", "run_loop", "schedule"]


class Task(Protocol):
    """What the loop needs to know of what is learned."""

    network: nn.Module
    """Puts its loss out: called with a batch, returns a scalar, so that DistributedDataParallel can wrap it."""

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer; `factor` in a group multiplies the learning rate."""

    def batch(self, step: int, rank: int, world: int) -> Any:
        """Batch number `step` of process `rank` of `world`, on the CPU; a function of its arguments alone."""

    def to_device(self, batch: Any, device: torch.device) -> Any:
        """`batch` on `device`."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures of `network`, which is the moving average; `score` decides which checkpoint is the best."""

    def describe(self) -> dict[str, Any]:
        """Plain data from which the checkpoint can build its network again."""

    def export(self, network: nn.Module, path: Path, figures: dict[str, float]) -> None:
        """Write `network` as a weights file."""


@dataclass(frozen=True)
class LoopSettings:
    """How a task is learned. Either `steps` or `minutes` of training time end it and shape the schedule."""

    steps: int = 0
    minutes: float = 0.0
    rate: float = 1.5e-3
    optimizer: str = "adamw"
    weight_decay: float = 0.02
    warmup: int = 200
    schedule: str = "cosine"
    milestones: tuple[float, float] = (90 / 140, 120 / 140)
    clip: float = 0.0
    average: float = 0.999
    precision: str = "fp32"
    device: str = "cpu"
    workers: int = 0
    seed: int = 0
    validate_every: int = 1000
    save_every: int = 500
    log_every: int = 50

    def __post_init__(self) -> None:
        if (self.steps > 0) == (self.minutes > 0):
            raise ValueError("give either steps or minutes")
        for name, value, known in (
            ("optimizer", self.optimizer, ("adam", "adamw")),
            ("schedule", self.schedule, ("cosine", "step")),
            ("precision", self.precision, ("fp32", "bf16", "fp16")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not '{value}'")


def schedule(settings: LoopSettings, step: int, progress: float) -> float:
    """The learning rate's factor at `step`, `progress` (0..1) of the way: warm-up, then cosine to 0 or two steps down.

    The steps are the paper's: a tenth from 90 of 140 epochs, a hundredth from 120 (REFERENCE 1.7).
    """
    ramp = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "step":
        return ramp * 0.1 ** sum(progress >= milestone for milestone in settings.milestones)
    return ramp * max(1e-3, 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


class Average:
    """Exponential moving average of a network's parameters and buffers, slow only after a quick start."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move toward `network` by 1 - decay, or faster in the first steps."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.network.state_dict(), network.state_dict()
        floats = [key for key, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[k] for k in floats], [theirs[k].detach() for k in floats], weight)
        for key in mine.keys() - set(floats):
            mine[key].copy_(theirs[key])


@dataclass(frozen=True)
class World:
    """The processes that learn together: this one's rank, how many there are, and its device."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls, device: str) -> World:
        """The world that `torchrun` describes in the environment, or this process alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(0, 1, torch.device(device))
        if device.startswith("cuda"):
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(device)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(torch.distributed.get_rank(), size, torch.device(device))

    def leave(self) -> None:
        """Say goodbye to the others."""
        if self.size > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def batches(make: Callable[[int], Any], first: int, workers: int) -> Generator[Any, None, None]:
    """make(first), make(first + 1), ... without end, made ahead by so many threads (0: when asked for)."""
    if not workers:
        while True:
            yield make(first)
            first += 1
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(make, first + i) for i in range(2 * workers)]
        first += len(ahead)
        try:
            while True:
                yield ahead.pop(0).result()
                ahead.append(pool.submit(make, first))
                first += 1
        finally:
            for future in ahead:
                future.cancel()


def run_loop(
    task: Task, settings: LoopSettings, out: Path, *, resume: bool = False, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Learn `task` into the folder `out`: last.pt, best.pt, log.csv, curve.png, best.safetensors.

    Returns the best figures. Ctrl-C saves, and is then raised as KeyboardInterrupt. OutputError when `out` holds a
    run and `resume` is not given, WeightsError when there is nothing to resume.
    """
    if not resume and (out / "last.pt").exists():
        raise OutputError(f"{out}: holds a run already; give --resume to go on with it, or another folder")
    world = World.join(settings.device)
    run = Run(task, settings, out, world, say)
    if resume:
        run.load()
    supply = batches(lambda step: task.batch(step, world.rank, world.size), run.step, settings.workers)
    with Interruption() as interruption:
        while run.progress < 1 and not interruption.asked:
            start = time.perf_counter()
            run.learn(task.to_device(next(supply), world.device))
            run.seconds += time.perf_counter() - start
            run.look_at_the_clock()
            if run.step % settings.log_every == 0:
                run.tell()
            if run.step % settings.validate_every == 0:
                run.validate()
            if run.step % settings.save_every == 0:
                run.save()
    supply.close()
    if not interruption.asked:
        run.validate()
    run.save()
    if run.log:
        run.log.close()
    world.leave()
    if interruption.asked:
        say(f"interrupted at step {run.step}; --resume goes on from there")
        raise KeyboardInterrupt
    return run.best


class Interruption:
    """Ctrl-C as a question that the loop answers between two steps, so that what it saves is whole."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt  # the second time it is meant at once
        self.asked = True

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)


class Run:
    """The state of a run: all that a checkpoint must bring back, and what the loop does with it."""

    def __init__(self, task: Task, settings: LoopSettings, out: Path, world: World, say: Callable[[str], None]) -> None:
        torch.manual_seed(settings.seed + world.rank)
        self.task, self.settings, self.out, self.world, self.say = task, settings, out, world, say
        out.mkdir(parents=True, exist_ok=True)
        self.network = task.network.to(world.device)
        self.wrapped: nn.Module = self.network
        if world.size > 1:
            ids = [world.device.index] if world.device.type == "cuda" else None
            self.wrapped = nn.parallel.DistributedDataParallel(self.network, device_ids=ids)
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        decay = settings.weight_decay if settings.optimizer == "adamw" else 0.0
        groups = [{"factor": 1.0, **group} for group in task.groups()]
        self.optimizer = kind(groups, lr=settings.rate, weight_decay=decay)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=settings.precision == "fp16")
        self.average = Average(self.network, settings.average)
        self.step, self.seconds, self.loss, self.validated = 0, 0.0, math.nan, -1
        self.progress = 0.0
        self.best: dict[str, float] = {}
        self.log = Log(out, say) if world.rank == 0 else None

    def look_at_the_clock(self) -> None:
        """How much of the run is done, 0..1; by the clock of process 0 when the run has minutes."""
        if self.settings.steps:
            self.progress = self.step / self.settings.steps
            return
        done = torch.tensor(self.seconds / (60 * self.settings.minutes), device=self.world.device)
        if self.world.size > 1:
            torch.distributed.broadcast(done, 0)
        self.progress = float(done)

    def learn(self, batch: Any) -> None:
        """One step of the optimizer. WeightsError when the loss is no number any more."""
        for group in self.optimizer.param_groups:
            factor = group["factor"] * schedule(self.settings, self.step, self.progress)
            group["lr"] = self.settings.rate * factor
        self.wrapped.train()
        with _autocast(self.world.device, self.settings.precision):
            loss: Tensor = self.wrapped(batch)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.settings.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.network, self.step)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise WeightsError(f"the loss is {value} at step {self.step}; lower the rate or clip the gradient")
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
        self.step += 1

    def tell(self) -> None:
        """One line about how it goes."""
        if self.log:
            self.log.progress(self.step, self.progress, self.seconds, self.loss)

    def validate(self) -> None:
        """Figures of the moving average into the log; the best of them is kept and exported."""
        if self.log and self.validated != self.step:
            self.validated = self.step
            figures = self.task.validate(self.average.network)
            self.log.figures(self.step, self.seconds, self.loss, figures)
            if figures["score"] > self.best.get("score", -math.inf):
                self.best = {**figures, "step": self.step, "minutes": round(self.seconds / 60, 1)}
                self.task.export(self.average.network, self.out / "best.safetensors", self.best)
                self.save("best.pt")
            self.save()
        if self.world.size > 1:
            torch.distributed.barrier()

    def save(self, name: str = "last.pt") -> None:
        """Write a checkpoint; the old one stays until the new one is whole."""
        if self.world.rank:
            return
        state = {
            "task": self.task.describe(), "settings": asdict(self.settings),
            "network": self.network.state_dict(), "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(), "best": self.best, "validated": self.validated,
            "step": self.step, "seconds": self.seconds, "loss": self.loss,
        }  # fmt: skip
        part = self.out / f"{name}.part"
        torch.save(state, part)
        part.replace(self.out / name)

    def load(self) -> None:
        """Go on from last.pt. WeightsError when it is of another network."""
        path = self.out / "last.pt"
        state = read_checkpoint(path)
        try:
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"{path}: is of another network; resume with the options it began with") from error
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        self.step, self.seconds, self.loss = state["step"], state["seconds"], state["loss"]
        self.best, self.validated = state["best"], state.get("validated", -1)
        self.look_at_the_clock()
        self.say(f"resumed at step {self.step}, after {self.seconds / 60:.1f} minutes")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of this loop, on the CPU; no code in it is run. WeightsError when there is none."""
    if not path.exists():
        raise WeightsError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a checkpoint of posetrack train ({error})") from error
    if not isinstance(state, dict) or "task" not in state:
        raise WeightsError(f"{path}: not a checkpoint of posetrack train")
    return state


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
