"""Workers that note where they work, take their time, or end their process at a clip."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from posetrack.workers.work import Ready, Worker

__all__ = ["Noting"]


class Noting(Worker):
    """Notes its process and node, and each block that it looks at, in a folder; `pause` seconds a block."""

    def __init__(self, folder: Path, pause: float = 0.0, fatal: str = "") -> None:
        super().__init__()
        self.folder, self.pause, self.fatal = folder, pause, fatal

    def prepare(self, *arguments: Any) -> Ready:
        (self.folder / f"{os.getpid()}.pid").touch()
        import ray

        self.node = ray.get_runtime_context().get_node_id()
        return super().prepare(*arguments)

    def observe(self, ticket: int, source: str, *arguments: Any) -> Any:
        if self.fatal and self.fatal in source:
            os._exit(3)
        time.sleep(self.pause)
        with (self.folder / "blocks.txt").open("a") as file:
            file.write(f"{Path(source).name} {self.node}\n")
        return super().observe(ticket, source, *arguments)
