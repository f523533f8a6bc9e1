"""Workers on a Ray cluster of three nodes on this machine: the same bytes, whatever happens to workers and nodes."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_workers import Noting

from posetrack.errors import DeviceError, InputError
from posetrack.runs import plan
from posetrack.workers.crew import Crew
from posetrack.workers.driver import Watcher, run_jobs

STORE = 100 << 20

pytestmark = pytest.mark.filterwarnings("default:::ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one core each. The nodes are as if on machines of their own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[2])))
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=STORE)
    yield made
    made.shutdown()


def nodes_of(folder: Path, name: str) -> set[str]:
    """The nodes that looked at blocks of a clip."""
    lines = [line.split() for line in (folder / "blocks.txt").read_text().splitlines()]
    return {node for clip, node in lines if clip == name}


def check(shelf: Any, ends: list[Any], *but: str) -> None:
    assert {Path(ended.job.source).name for ended in ends} == set(shelf.plain)
    for ended in ends:
        name = Path(ended.job.source).name
        if name not in but:
            assert ended.error is None, ended.error
            assert ended.job.output.read_bytes() == shelf.plain[name], name


def test_the_same_bytes_from_three_nodes(cluster, shelf, tmp_path):
    with Crew(None, cluster.address, kind=partial(Noting, tmp_path)) as crew:
        assert crew.size == 3
        check(shelf, list(run_jobs(crew, shelf.jobs(tmp_path / "all"), shelf.order)))
        # one clip alone is cut into blocks for all of them
        (tmp_path / "blocks.txt").unlink()
        for name in ("bframes.mp4", "one_key.mp4"):
            (ended,) = run_jobs(crew, shelf.jobs(tmp_path / "one", name), shelf.order)
            assert ended.job.output.read_bytes() == shelf.plain[name]
    assert len(nodes_of(tmp_path, "bframes.mp4")) >= 2


def test_a_clip_that_ends_its_worker_is_reported(cluster, shelf, tmp_path):
    with Crew(3, cluster.address, kind=partial(Noting, tmp_path, fatal="keys.mp4")) as crew:
        ends = list(run_jobs(crew, shelf.jobs(tmp_path / "out"), shelf.order))
    check(shelf, ends, "keys.mp4")
    (error,) = (ended.error for ended in ends if ended.error is not None)
    assert isinstance(error, InputError)
    assert "keys.mp4: its block 0 (frames 0 to 3) ended its worker 4 times" in str(error)
    assert not list((tmp_path / "out").glob("keys*"))


def test_killed_workers_and_a_lost_node_change_nothing(cluster, shelf, tmp_path):
    over = threading.Event()
    killed: list[int] = []

    def harm() -> None:
        chance = random.Random(4)
        while len(killed) < 10 and not over.wait(chance.uniform(1.5, 3.5)):
            alive = [path for path in tmp_path.glob("*.pid") if Path(f"/proc/{path.stem}").exists()]
            if alive:
                victim = int(chance.choice(alive).stem)
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    class Nodes(Watcher):
        """Takes a node away when the first blocks are done, and adds another."""

        lost = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        blocks = 0

        def tracked(self, job: Any, results: Any) -> None:
            self.blocks += 1
            if self.blocks == 10:
                cluster.remove_node(self.lost, allow_graceful=False)
                cluster.add_node(num_cpus=1, object_store_memory=STORE)

    nodes = Nodes()
    with Crew(4, cluster.address, kind=partial(Noting, tmp_path, 0.15)) as crew:
        harmer = threading.Thread(target=harm)
        harmer.start()
        ends: list[Any] = []
        try:
            while len(killed) < 10 and len(ends) < 200:
                folder = tmp_path / f"out{len(ends)}"
                found = list(run_jobs(crew, shelf.jobs(folder), shelf.order, nodes))
                check(shelf, found)
                assert {path.name.split(".", 1)[1] for path in folder.iterdir()} == {"tracks.json"}
                ends += found
        finally:
            over.set()
            harmer.join()
    assert len(killed) == 10


def test_no_cluster_there():
    pytest.importorskip("ray")
    with pytest.raises(DeviceError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"), Crew(2, "127.0.0.1:1"):
        pass


def test_a_worker_larger_than_any_node(cluster):
    with pytest.raises(DeviceError, match="--cpus-per-worker"), Crew(2, cluster.address, cpus=64):
        pass


MEMORY = """
import pickle, resource, sys
from pathlib import Path
from posetrack.workers.crew import Crew
from posetrack.workers.driver import run_jobs
address, jobs, order = pickle.loads(Path(sys.argv[1]).read_bytes())
with Crew(3, address) as crew:
    ends = list(run_jobs(crew, jobs, order))
assert all(ended.error is None for ended in ends)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_the_drivers_memory_does_not_depend_on_the_number_of_videos(cluster, shelf, tmp_path):
    peaks = []
    for count in (2, 20):
        folder = tmp_path / str(count)
        folder.mkdir()
        for k in range(count):
            (folder / f"{k}.mp4").symlink_to(shelf.folder / "keys.mp4")
        jobs = plan([str(path) for path in folder.iterdir()], tmp_path / f"out{count}")
        (tmp_path / "order").write_bytes(pickle.dumps((cluster.address, jobs, shelf.order)))
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "order")]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] < 1.1 * peaks[0]
