"""Workers on Ray: started, asked, lost and replaced. The only module that imports ray, and only when it is used.

Every answer becomes an `Answer` in one queue, so that the driver is a plain loop that knows nothing of Ray.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal

from posetrack.errors import DeviceError, PosetrackError
from posetrack.workers.work import Worker

__all__ = ["Answer", "Crew", "Member", "Trouble"]

_LOCAL_STORE = 1 << 30
"""Bytes of shared memory of a Ray of our own: decoded blocks of videos that cannot be sought pass through it."""


@dataclass(frozen=True)
class Trouble:
    """Why a call gave nothing.

    died: the worker is gone. broke: it raised what no input may raise. lost: what it was to work on is gone with
    another worker. refused: a PosetrackError or OSError, in `error`, which says all.
    """

    kind: Literal["died", "broke", "lost", "refused"]
    cause: str
    error: Exception | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a call: the worker that was asked, the tag that was given with the call, a value or trouble.

    `parcel` refers to a large second value, which stays where it was made.
    """

    member: Member
    tag: Any
    value: Any
    trouble: Trouble | None = None
    parcel: Any = None


class Member:
    """One worker of a crew, as the driver sees it."""

    def __init__(self, number: int, actor: Any, slot: int) -> None:
        self.number, self.actor, self.slot = number, actor, slot


class _Host:
    """The Ray actor: a process with one worker, or with several that are only simulated."""

    def __init__(self, kind: Callable[[], Worker], workers: int) -> None:
        self._workers = [kind() for _ in range(workers)]

    def call(self, slot: int, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._workers[slot], method)(*arguments)
        except (PosetrackError, OSError) as error:
            return Trouble("refused", str(error), error)

    def parcel(self, slot: int, method: str, *arguments: Any) -> tuple[Any, Any]:
        """A call whose second value is large, and is left here for whoever wants it."""
        answer = self.call(slot, method, *arguments)
        return (answer, None) if isinstance(answer, Trouble) else answer

    def observe(self, slot: int, ticket: int, source: str, part: Any, parcel: list[Any]) -> Any:
        """Worker.observe, for which what lies elsewhere is fetched only when it is wanted."""
        import ray

        return self.call(slot, "observe", ticket, source, part, lambda: ray.get(parcel[0]))


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise DeviceError(
            "more than one worker needs Ray, which is not installed; pip install 'posetrack[ray]', or leave out "
            "--workers and --ray"
        ) from error
    return ray


class Crew:
    """A number of workers, on this machine or on a Ray cluster; a context manager.

    `address` None starts a Ray of our own, which ends with the crew; auto or an address joins a running cluster.
    `size` None takes as many workers as the cluster has room for. A worker gets `cpus` cores and `gpus` GPUs, or parts
    of one; None: one, or a part, where the cluster has some. `kind` makes the worker; `together` of them share a
    process, which only simulated ones may.
    """

    def __init__(
        self,
        size: int | None,
        address: str | None = None,
        *,
        cpus: float = 1,
        gpus: float | None = None,
        kind: Callable[[], Any] = Worker,
        together: int = 1,
    ) -> None:
        self.size, self.cpus, self.gpus = size or 1, cpus, gpus or 0
        self._share_gpus = gpus is None
        self._wanted, self._address, self._kind, self._together = size, address, kind, together
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._folder: Path | None = None
        self._hired = 0
        self._actor: Any = None

    def __enter__(self) -> Crew:
        _quiet(own=self._address is None)
        self._ray = _ray()
        try:
            self._join() if self._address else self._start()
            if self._share_gpus:
                gpus = self._ray.cluster_resources().get("GPU", 0)
                self.gpus = 1 / max(1, -(-self.size // gpus)) if gpus else 0
            self.size = self._wanted or self.room()
            if self.room() < 1:
                raise DeviceError(
                    f"no node of the cluster has room for a worker of {self.cpus:g} CPUs and {self.gpus:g} GPUs; "
                    "change --cpus-per-worker or --gpus-per-worker"
                )
        except BaseException:
            self._stop()
            raise
        groups = {"observe": 2 * self._together, "track": self._together, "feed": self._together}
        self._host = self._ray.remote(concurrency_groups=groups)(_Host)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        folder = "/tmp" if Path("/tmp").is_dir() else None  # the path of a socket has about 100 characters at most
        self._folder = Path(tempfile.mkdtemp(prefix="posetrack-", dir=folder))
        cpus = max(1, -(-self.size * self.cpus // 1))
        self._ray.init(
            address="local", num_cpus=int(cpus), include_dashboard=False, object_store_memory=_LOCAL_STORE,
            _temp_dir=str(self._folder), logging_level=logging.ERROR, log_to_driver=False, configure_logging=False,
        )  # fmt: skip

    def _join(self) -> None:
        try:
            _knock(str(self._address))
            self._ray.init(
                address=self._address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=False
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise DeviceError(
                f"no Ray cluster answers at '{self._address}' ({_first_line(error)}); "
                "start one with: ray start --head"
            ) from error

    def _stop(self) -> None:
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def room(self) -> int:
        """How many workers the nodes that are there now can hold."""
        found = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                most = [has.get("CPU", 0) // self.cpus if self.cpus else None,
                        has.get("GPU", 0) // self.gpus if self.gpus else None]
                found += int(min(part for part in [*most, 1 << 20] if part is not None))
        return found

    def growth(self, workers: int) -> int:
        """How many more workers there is room for than `workers`, where their number was left to the cluster."""
        return 0 if self._wanted else max(0, self.room() - workers)

    def device(self, wanted: str) -> str:
        """The device of a worker's networks, where the user said `wanted`: Ray shows a worker its own GPUs only.

        DeviceError for a GPU by its number.
        """
        if self.gpus and wanted.startswith("cuda:"):
            raise DeviceError(f"a worker takes the GPU that Ray gives it, not '{wanted}'; choose --device cuda")
        if wanted != "auto":
            return wanted
        return "cuda" if self.gpus else "cpu"

    def share(self, value: Any) -> Any:
        """A parcel that all workers can have."""
        return self._ray.put(value)

    def hire(self) -> Member:
        """One more worker, which comes when the cluster has room for it. Calls to it wait until then."""
        slot = self._hired % self._together
        if slot == 0:
            count = self._together
            options = {"num_cpus": self.cpus * count, "num_gpus": self.gpus * count, "max_restarts": 0}
            self._actor = self._host.options(**options).remote(self._kind, count)
        member = Member(self._hired, self._actor, slot)
        self._hired += 1
        return member

    def dismiss(self, member: Member) -> None:
        """Let a worker go, whatever it does."""
        self._ray.kill(member.actor)

    def ask(self, member: Member, tag: Any, method: str, *arguments: Any, group: str = "observe") -> None:
        """Call a method of a worker; the answer comes with `tag`."""
        call = member.actor.call.options(concurrency_group=group)
        self._await(member, tag, call.remote(member.slot, method, *arguments), None)

    def ask_parcel(self, member: Member, tag: Any, method: str, *arguments: Any, group: str = "observe") -> None:
        """Call a method that gives two values, the second of which stays there as a parcel."""
        call = member.actor.parcel.options(concurrency_group=group, num_returns=2)
        self._await(member, tag, *call.remote(member.slot, method, *arguments))

    def ask_observe(self, member: Member, tag: Any, ticket: int, source: str, part: Any, parcel: Any) -> None:
        """Call Worker.observe, with the `parcel` that it fetches when it wants it."""
        call = member.actor.observe.options(concurrency_group="observe")
        self._await(member, tag, call.remote(member.slot, ticket, source, part, [parcel]), None)

    def tell(self, member: Member, method: str, *arguments: Any, group: str = "track") -> None:
        """Call a method whose answer nobody waits for."""
        member.actor.call.options(concurrency_group=group).remote(member.slot, method, *arguments)

    def _await(self, member: Member, tag: Any, reference: Any, parcel: Any) -> None:
        def answered(future: Future[Any]) -> None:
            error = future.exception()
            value = None if error else future.result()
            if isinstance(value, Trouble):
                self._answers.put(Answer(member, tag, None, value))
            else:
                self._answers.put(Answer(member, tag, value, _trouble(error) if error else None, parcel))

        reference.future().add_done_callback(answered)

    def answers(self, patience: float) -> list[Answer]:
        """The answers that have come, in order; waits up to `patience` seconds for the first."""
        try:
            found = [self._answers.get(timeout=patience)]
        except Empty:
            return []
        while True:
            try:
                found.append(self._answers.get_nowait())
            except Empty:
                return found


def _knock(address: str) -> None:
    """OSError unless something answers at `address`: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    elif address != "auto":
        raise ValueError("an address is HOST:PORT, or auto")


def _trouble(error: BaseException) -> Trouble:
    """What an error of Ray's means."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError):
        cause = error.cause
        if isinstance(cause, exceptions.ObjectLostError):
            return Trouble("lost", _first_line(cause))
        return Trouble("broke", f"{type(cause).__name__}: {_first_line(cause)}")
    if isinstance(error, exceptions.ObjectLostError):
        return Trouble("lost", _first_line(error))
    return Trouble("died", _death(str(error)))


def _death(text: str) -> str:
    """In a few words what Ray says in many of how a worker ended."""
    if "running low on memory" in text or "OutOfMemory" in text:
        return "killed for want of memory"
    if re.search(r"node .{0,80}(died|dead|terminated|removed)", text, re.IGNORECASE | re.DOTALL):
        return "its node was lost"
    if "creation task" in text:
        return f"it could not be made: {text.strip().splitlines()[-1]}"
    detail = re.search(r"exit detail: ([^.\n]*)", text)
    return f"its process ended: {detail[1]}" if detail else f"its process ended: {text.splitlines()[0]}"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _quiet(own: bool) -> None:
    """Have Ray keep its talk and its statistics to itself; a Ray of our `own` lets in nobody who has not its secret."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if own:
        os.environ.setdefault("RAY_worker_niceness", "0")  # as a plain run has it
    if own and "ray" not in sys.modules and not any(name.startswith("RAY_AUTH") for name in os.environ):
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)
