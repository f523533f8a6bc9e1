"""What a training run tells: lines for the terminal, log.csv, TensorBoard, a picture of the curves."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Log", "draw_curve"]


class Log:
    """log.csv, TensorBoard where it is installed, curve.png where matplotlib is, and lines for the terminal."""

    def __init__(self, out: Path, say: Callable[[str], None]) -> None:
        self.out, self.say = out, say
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"))
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


    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board:
            self._board.close()


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
    names = [name for name in rows[0] if name not in ("step", "minutes")]
    if len(names) > 2:
        names.remove("score")  # which is one of the others
    for name in names:
        axes = left if "loss" in name else right
        axes.plot(minutes, [float(row[name]) for row in rows], label=name)
    for axes in (left, right):
        axes.set_xlabel("minutes")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
