"""The loop: batches in, checkpoints, a log and a curve out.

A `Task` says what is learned; the loop knows nothing of people. Batch number `step` depends on the seed and the step
alone, so a resumed run sees the pictures that an uninterrupted one would have seen; optimizer, schedule, moving average
and random state are in the checkpoint. Under `torchrun` every process takes its own share of each batch.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from posetrack.errors import OutputError, WeightsError

__all__ = ["Average", "LoopSettings", "Task", "World", "batches", "read_checkpoint", "run_loop", "schedule"]


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


def batches(make: Callable[[int], Any], first: int, workers: int) -> Iterator[Any]:
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

    Returns the best figures. Ctrl-C saves and ends. OutputError when `out` holds a run and `resume` is not given.
    """
    world = World.join(settings.device)
    run = _Run(task, settings, out, world, say)
    if resume:
        run.load()
    elif (out / "last.pt").exists():
        raise OutputError(f"{out}: holds a run already; give --resume to go on with it, or another folder")
    try:
        for batch in batches(lambda step: task.batch(step, world.rank, world.size), run.step, settings.workers):
            if run.progress >= 1:
                break
            run.learn(task.to_device(batch, world.device))
            if run.step % settings.validate_every == 0:
                run.validate()
            if run.step % settings.save_every == 0:
                run.save()
        if run.step % settings.validate_every:
            run.validate()
    except KeyboardInterrupt:
        say(f"interrupted at step {run.step}; --resume goes on from there")
        run.save()
        raise
    run.save()
    world.leave()
    return run.best


class _Run:
    """The state of a run: all that a checkpoint must bring back."""

    def __init__(
        self, task: Task, settings: LoopSettings, out: Path, world: World, say: Callable[[str], None]
    ) -> None:
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
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        self.best: dict[str, float] = {}
        self.log = Log(out, say) if world.rank == 0 else None

    @property
    def progress(self) -> float:
        """How much of the run is done, 0..1; by the clock of process 0 when the run has minutes."""
        if self.settings.steps:
            return self.step / self.settings.steps
        done = torch.tensor(self.seconds / (60 * self.settings.minutes))
        if self.world.size > 1:
            done = done.to(self.world.device)
            torch.distributed.broadcast(done, 0)
        return float(done)

    def learn(self, batch: Any) -> None:
        """One step of the optimizer."""
        start = time.perf_counter()
        progress = self.progress
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * group["factor"] * schedule(self.settings, self.step, progress)
        self.wrapped.train()
        with _autocast(self.world.device, self.settings.precision):
            loss: Tensor = self.wrapped(batch)
        self.scaler.scale(loss).backward()
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
        self.seconds += time.perf_counter() - start + self._waited(start)
        if self.log and self.step % self.settings.log_every == 0:
            self.log.progress(self.step, self.progress, self.seconds, self.loss)

    def _waited(self, start: float) -> float:
        """Seconds since the last step ended, which went into the batch."""
        waited = start - self._ended if hasattr(self, "_ended") else 0.0
        self._ended = time.perf_counter()
        return min(waited, 60.0)

    def validate(self) -> None:
        """Figures of the moving average into the log; the best of them is kept and exported."""
        if self.log:
            figures = self.task.validate(self.average.network)
            self.log.figures(self.step, self.seconds, self.loss, figures)
            if figures["score"] > self.best.get("score", -math.inf):
                self.best = {**figures, "step": self.step}
                self.task.export(self.average.network, self.out / "best.safetensors", self.best)
                self.save("best.pt")
            self.save()
        if self.world.size > 1:
            torch.distributed.barrier()
        self._ended = time.perf_counter()

    def save(self, name: str = "last.pt") -> None:
        """Write a checkpoint; the old one stays until the new one is whole."""
        if self.world.rank:
            return
        state = {
            "task": self.task.describe(), "settings": asdict(self.settings),
            "network": self.network.state_dict(), "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step, "seconds": self.seconds, "loss": self.loss, "best": self.best,
        }  # fmt: skip
        part = self.out / f"{name}.part"
        torch.save(state, part)
        part.replace(self.out / name)

    def load(self) -> None:
        """Go on from last.pt."""
        state = read_checkpoint(self.out / "last.pt")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        self.step, self.seconds, self.loss = state["step"], state["seconds"], state["loss"]
        self.best = state["best"]
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


class Log:
    """log.csv, TensorBoard where it is installed, curve.png where matplotlib is, and lines for the terminal."""

    def __init__(self, out: Path, say: Callable[[str], None]) -> None:
        self.out, self.say = out, say
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"))  # type: ignore[no-untyped-call]
        except ImportError:
            pass

    def progress(self, step: int, progress: float, seconds: float, loss: float) -> None:
        """One line: how far, how fast, how long still."""
        left = seconds * (1 - progress) / max(progress, 1e-9) / 60
        self.say(
            f"step {step}  {100 * progress:.1f} %  loss {loss:.5f}  {step / max(seconds, 1e-9):.2f} steps/s  "
            f"{left:.0f} min left"
        )

    def figures(self, step: int, seconds: float, loss: float, figures: dict[str, float]) -> None:
        """A row of log.csv, and the curve drawn again."""
        row = {"step": step, "minutes": round(seconds / 60, 2), "loss": loss, **figures}
        path = self.out / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()
        self.say("validated: " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        draw_curve(path, self.out / "curve.png")


def draw_curve(log: Path, path: Path) -> None:
    """The loss and every figure of log.csv against the minutes, as a picture; nothing without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return
    with log.open() as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["minutes"]) for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for name in rows[0]:
        if name not in ("step", "minutes", "score"):
            axes = left if "loss" in name else right
            axes.plot(minutes, [float(row[name]) for row in rows], label=name)
    for axes in (left, right):
        axes.set_xlabel("minutes")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
