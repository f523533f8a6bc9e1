"""A crew in this process: real workers, asked in an order drawn by chance, some of which end before they answer."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

from posetrack.errors import PosetrackError
from posetrack.workers.crew import Answer, Member, Trouble
from posetrack.workers.work import Worker

__all__ = ["CrewHere"]

Dies = Callable[[str, tuple[Any, ...]], bool]


class CrewHere:
    """`dies` says of a call (method, arguments) whether its worker ends in it; `lose` is the chance that any does, and
    that what a block is made of is gone with somebody else."""

    cpus = 1.0

    def __init__(self, size: int, seed: int = 0, lose: float = 0.0, dies: Dies = lambda method, given: False) -> None:
        self.size, self.chance, self.lose, self.dies = size, random.Random(seed), lose, dies
        self.calls: list[tuple[Member, Any, str, tuple[Any, ...]]] = []
        self.held: dict[Member, int] = {}
        self.most_held = self.deaths = self.hired = 0
        self.worked: list[tuple[str, tuple[Any, ...]]] = []

    def device(self, wanted: str) -> str:
        return wanted

    def growth(self, workers: int) -> int:
        return 0

    def share(self, value: Any) -> Any:
        return value

    def hire(self) -> Member:
        self.hired += 1
        return Member(self.hired, Worker(), 0)

    def dismiss(self, member: Member) -> None:
        self.calls = [call for call in self.calls if call[0] is not member]

    def ask(self, member: Member, tag: Any, method: str, *arguments: Any, group: str = "observe") -> None:
        self.calls.append((member, tag, method, arguments))

    ask_parcel = ask

    def ask_observe(self, member: Member, tag: Any, ticket: int, source: str, part: Any, parcel: Any) -> None:
        self.calls.append((member, tag, "observe", (ticket, source, part, lambda: parcel)))

    def tell(self, member: Member, method: str, *arguments: Any, group: str = "track") -> None:
        getattr(member.actor, method)(*arguments)

    def answers(self, patience: float) -> list[Answer]:
        """One answer, of any worker; each does its calls of a kind in order."""
        firsts: dict[tuple[Member, bool], tuple[Member, Any, str, tuple[Any, ...]]] = {}
        for call in self.calls:
            firsts.setdefault((call[0], call[2] in ("track", "feed")), call)
        assert firsts, "the driver waits, and nobody has anything to do"
        call = self.chance.choice(list(firsts.values()))
        self.calls.remove(call)
        member, tag, method, arguments = call
        if method != "prepare" and (self.dies(method, arguments) or self.chance.random() < self.lose):
            self.deaths += 1
            return [Answer(member, tag, None, Trouble("died", "by chance"))]
        if method == "observe" and self.chance.random() < self.lose:
            return [Answer(member, tag, None, Trouble("lost", "by chance"))]
        self.worked.append((method, arguments))
        try:
            value = getattr(member.actor, method)(*arguments)
        except PosetrackError as error:
            return [Answer(member, tag, None, Trouble("refused", str(error), error))]
        self.most_held = max(self.most_held, len(member.actor._held))
        value, parcel = value if method in ("survey", "feed") else (value, None)
        return [Answer(member, tag, pickle.loads(pickle.dumps(value)), None, parcel)]
