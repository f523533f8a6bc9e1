"""The driver with workers in this process, in orders drawn by chance: what comes out is what a plain run gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crew_here import CrewHere
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posetrack.errors import InputError
from posetrack.runs import Ended, run_job
from posetrack.stored import Span
from posetrack.workers.driver import run_jobs
from posetrack.workers.schedule import HOLD, RETRIES


def ended_by_name(ends: list[Ended]) -> dict[str, Ended]:
    return {Path(ended.job.source).name: ended for ended in ends}


def check(shelf: Any, ends: list[Ended], *but: str) -> None:
    """Every result but some has the bytes of the plain run."""
    by_name = ended_by_name(ends)
    assert set(by_name) == set(shelf.plain)
    for name, ended in by_name.items():
        if name not in but:
            assert ended.error is None, ended.error
            assert ended.job.output.read_bytes() == shelf.plain[name], name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(size=st.integers(1, 5), seed=st.integers(0, 9999), lose=st.sampled_from([0.0, 0.0, 0.01, 0.03]))
def test_bytes_do_not_depend_on_workers_order_and_deaths(shelf, tmp_path_factory, size, seed, lose):
    output = tmp_path_factory.mktemp("out")
    crew = CrewHere(size, seed, lose)
    check(shelf, list(run_jobs(crew, shelf.jobs(output), shelf.order)))
    assert crew.most_held <= HOLD + 1
    assert not list(output.glob("*.part*"))
    assert crew.hired == size + crew.deaths


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize(
    ("victim", "method"),
    [(name, method) for name in ("one_key.mp4", "keys.mp4") for method in ("survey", "observe", "track", "feed")][:-1],
)
def test_a_clip_that_ends_its_workers_takes_nobody_with_it(shelf, tmp_path, size, method, victim):
    tickets: set[int] = set()

    def dies(called: str, arguments: tuple[Any, ...]) -> bool:
        if called == "observe" and arguments[1].endswith(victim):
            tickets.add(arguments[0])
        mine = arguments[0] in tickets if called == "track" else any(victim in str(each) for each in arguments[:2])
        return called == method and mine

    crew = CrewHere(size, 3, dies=dies)
    ends = list(run_jobs(crew, shelf.jobs(tmp_path), shelf.order))
    check(shelf, ends, victim)
    error = ended_by_name(ends)[victim].error
    assert isinstance(error, InputError)
    assert f"{RETRIES + 1} times" in str(error)
    assert victim in str(error)
    assert not (tmp_path / victim).with_suffix(".tracks.json").exists()
    assert crew.deaths <= (RETRIES + 1) * max(1, size)


def test_clips_are_sought_where_they_can_be(shelf, tmp_path):
    crew = CrewHere(2)
    list(run_jobs(crew, shelf.jobs(tmp_path), shelf.order))
    fed = {Path(arguments[0]).name for method, arguments in crew.worked if method == "feed"}
    assert fed == {"one_key.mp4", "short.mp4"}


def test_a_table_that_is_not_true_gives_way_to_one_decoder(shelf, tmp_path):
    whole = bytearray((shelf.folder / "keys.mp4").read_bytes())
    for at in range(len(whole) * 5 // 8, len(whole) * 6 // 8, 7):
        whole[at] ^= 0x55
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(whole)
    (plain,) = shelf.jobs(tmp_path / "plain", str(damaged))
    sight, said = shelf.order.recipe.make()
    outcome = run_job(plain, sight, shelf.order.settings, said)
    crew = CrewHere(3, 1)
    (ended,) = run_jobs(crew, shelf.jobs(tmp_path / "out", str(damaged)), shelf.order)
    assert ended.error is None
    assert ended.job.output.read_bytes() == plain.output.read_bytes()
    assert ended.outcome == outcome
    assert {"feed", "observe"} <= {method for method, _ in crew.worked}


def test_a_clip_that_cannot_be_read_is_reported_and_the_others_go_on(shelf, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    jobs = shelf.jobs(tmp_path / "out") + shelf.jobs(tmp_path / "out", str(tmp_path / "bad.mp4"))
    by_name = ended_by_name(list(run_jobs(CrewHere(2), jobs, shelf.order)))
    assert isinstance(by_name.pop("bad.mp4").error, InputError)
    check(shelf, list(by_name.values()))


@pytest.mark.parametrize("stop", range(3, 60, 8))
def test_a_driver_that_is_stopped_goes_on(shelf, tmp_path, stop):
    class Stopped(Exception):
        pass

    class Stopping(CrewHere):
        def answers(self, patience: float) -> Any:
            if len(self.worked) >= stop:
                raise Stopped
            return super().answers(patience)

    names = ("keys.mp4", "one_key.mp4", "variable.mkv")
    with pytest.raises(Stopped):
        list(run_jobs(Stopping(2, 1), shelf.jobs(tmp_path, *names), shelf.order))
    ends = list(run_jobs(CrewHere(3, 2), shelf.jobs(tmp_path, *names), replace(shelf.order, resume=True)))
    for name, ended in ended_by_name(ends).items():
        assert ended.job.output.read_bytes() == shelf.plain[name]
    again = list(run_jobs(CrewHere(3, 2), shelf.jobs(tmp_path, *names), replace(shelf.order, resume=True)))
    assert all(ended.outcome is not None and ended.outcome.skipped for ended in again)


@pytest.mark.parametrize("span", [Span(0.3, 1.1), Span(None, None, 3), Span(0.5, None, 7)])
@pytest.mark.parametrize("name", ["variable.mkv", "one_key.mp4"])
def test_spans_and_strides(shelf, tmp_path, span, name):
    order = replace(shelf.order, span=span, settings=replace(shelf.order.settings, detect_every=2))
    (plain,) = shelf.jobs(tmp_path / "plain", name)
    sight, said = order.recipe.make()
    run_job(plain, sight, order.settings, said, span=span)
    (ended,) = run_jobs(CrewHere(3, 5, 0.02), shelf.jobs(tmp_path / "out", name), order)
    assert ended.error is None
    assert ended.job.output.read_bytes() == plain.output.read_bytes()


def test_a_span_without_frames_is_said_as_a_plain_run_says_it(shelf, tmp_path):
    order = replace(shelf.order, span=Span(100))
    for name in ("keys.mp4", "one_key.mp4"):
        (ended,) = run_jobs(CrewHere(1), shelf.jobs(tmp_path, name), order)
        assert "no frame lies between" in str(ended.error)
        assert not list(tmp_path.glob("*.json*"))
