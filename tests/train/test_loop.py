"""The loop on a task of three numbers: exact resuming, interruption, the best, two processes, honest refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from line_task import LineTask
from torch import nn

from posetrack.errors import OutputError, WeightsError
from posetrack.train.loop import Average, LoopSettings, batches, read_checkpoint, run_loop, schedule

SETTINGS = LoopSettings(steps=24, rate=0.05, warmup=4, validate_every=6, save_every=5, log_every=8, average=0.9)


def _run(out, settings=SETTINGS, task=None, **options):
    lines = []
    figures = run_loop(task or LineTask(), settings, out, say=lines.append, **options)
    return figures, lines


def _weights(out, name="last.pt"):
    return {key: value.clone() for key, value in read_checkpoint(out / name)["network"].items()}


def _same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def _rows(out):
    with (out / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "minutes"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path, workers):
    settings = LoopSettings(**{**SETTINGS.__dict__, "workers": workers})
    _run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "halves", settings, LineTask(interrupt_at=13))
    assert 6 < read_checkpoint(tmp_path / "halves/last.pt")["step"] < 24
    _, lines = _run(tmp_path / "halves", settings, resume=True)
    assert "resumed" in lines[0]
    first, second = (read_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "halves"))
    for part in ("network", "average"):
        assert _same(first[part], second[part])
    for a, b in zip(first["optimizer"]["state"].values(), second["optimizer"]["state"].values(), strict=True):
        assert _same(a, b)
    assert _rows(tmp_path / "whole") == _rows(tmp_path / "halves")


def test_it_learns_and_keeps_the_best(tmp_path):
    figures, lines = _run(tmp_path / "run", LoopSettings(**{**SETTINGS.__dict__, "steps": 60}))
    rows = _rows(tmp_path / "run")
    scores = [float(row["score"]) for row in rows]
    assert figures["score"] == pytest.approx(max(scores))
    assert scores[-1] > scores[0]
    assert [int(row["step"]) for row in rows] == list(range(6, 61, 6))
    exported = json.loads((tmp_path / "run/best.safetensors").read_text())
    assert exported["step"] == figures["step"]
    assert any("min left" in line for line in lines)


def test_the_last_step_is_validated_too(tmp_path):
    _run(tmp_path / "run", LoopSettings(**{**SETTINGS.__dict__, "validate_every": 100}))
    assert [row["step"] for row in _rows(tmp_path / "run")] == ["24"]


def test_minutes_end_a_run(tmp_path):
    _run(tmp_path / "run", LoopSettings(minutes=1e-4, rate=0.01, validate_every=1000))
    assert read_checkpoint(tmp_path / "run/last.pt")["seconds"] >= 6e-3


def test_nothing_is_overwritten(tmp_path):
    _run(tmp_path / "run")
    with pytest.raises(OutputError, match="--resume"):
        _run(tmp_path / "run")


def test_refusals(tmp_path):
    with pytest.raises(WeightsError, match="no such checkpoint"):
        _run(tmp_path / "none", resume=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        _run(tmp_path / "bad", resume=True)
    torch.save({"weights": 1}, tmp_path / "bad/last.pt")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        _run(tmp_path / "bad", resume=True)
    _run(tmp_path / "run")
    with pytest.raises(WeightsError, match="another network"):
        _run(tmp_path / "run", task=LineTask(width=5), resume=True)
    with pytest.raises(WeightsError, match="lower the rate"):
        _run(tmp_path / "nan", task=LineTask(poison_at=3))


@pytest.mark.parametrize(
    "wrong", [{}, {"steps": 1, "minutes": 1.0}, {"steps": 1, "optimizer": "sgd"}, {"steps": 1, "precision": "fp8"},
              {"steps": 1, "schedule": "line"}]
)  # fmt: skip
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=r"either|one of"):
        LoopSettings(**wrong)


@pytest.mark.parametrize(
    ("kind", "progress", "factor"),
    [("cosine", 0, 1), ("cosine", 0.5, 0.5), ("cosine", 1, 1e-3), ("cosine", 2, 1e-3),
     ("step", 0.6, 1), ("step", 0.65, 0.1), ("step", 0.9, 0.01)],
)  # fmt: skip
def test_schedule(kind, progress, factor):
    settings = LoopSettings(steps=1400, schedule=kind, warmup=10)
    assert schedule(settings, 500, progress) == pytest.approx(factor)
    assert schedule(settings, 4, progress) == pytest.approx(factor / 2)


def test_average_is_the_exponential_one():
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    average = Average(network, 0.5)
    before = average.network.state_dict()["0.weight"].clone()
    with torch.no_grad():
        network[0].weight.add_(1)
        network[1].num_batches_tracked.add_(3)
    average.update(network, 1000)
    torch.testing.assert_close(average.network.state_dict()["0.weight"], before + 0.5)
    assert average.network.state_dict()["1.num_batches_tracked"] == 3
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order(workers):
    supply = batches(lambda step: step * step, 4, workers)
    assert [next(supply) for _ in range(9)] == [step * step for step in range(4, 13)]
    supply.close()


def test_ctrl_c_twice_is_meant_at_once(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "run", task=LineTask(interrupt_at=3, times=2))
    assert signal.getsignal(signal.SIGINT) is before


def test_two_processes_learn_what_one_does(tmp_path):
    """Each takes half of every batch; the mean of their gradients is the whole batch's."""
    _run(tmp_path / "one")
    here = Path(__file__).parent
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0",
         "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", here / "line_task.py", tmp_path / "two"],
        check=True, capture_output=True, timeout=180,
        env={**os.environ, "PYTHONPATH": str(here.parents[1]), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    for key, value in _weights(tmp_path / "one").items():
        torch.testing.assert_close(value, _weights(tmp_path / "two")[key], atol=1e-5, rtol=1e-4)
    assert len(_rows(tmp_path / "two")) == len(_rows(tmp_path / "one"))
