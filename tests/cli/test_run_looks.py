"""run --appearance and --reidentify: what goes into the file, and that neither blocks nor interruptions change it."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import make_clip
from dressed import GREEN, Dressed, drawn, poses_of
from running import run

from posetrack.pipeline import PipelineSettings
from posetrack.results.native import Header, read_tracks, write_tracks
from posetrack.results.posefile import read_poses
from posetrack.runs import Job, run_job
from posetrack.skeleton import COCO17
from posetrack.stored import StoredPoses
from posetrack.tracker import TrackerSettings
from posetrack.types import FrameResult, Person

FPS, LENGTH = 10, 60


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with film.mp4 and poses.json: one stays, one is away from frame 15 to 35 and comes back elsewhere."""
    folder = tmp_path_factory.mktemp("looks")
    images, results = [], []
    for index in range(LENGTH):
        scene = [Dressed(360, GREEN)] + [Dressed(100 if index < 15 else 140)] * (not 15 <= index < 35)
        images.append(drawn(*scene))
        poses = poses_of(*scene)
        people = (Person(i + 1, 0.9, poses.boxes[i], poses.keypoints[i], "file") for i in range(len(scene)))
        results.append(FrameResult(index, index / FPS, tuple(people)))
    make_clip(folder / "film.mp4", LENGTH, size=(480, 240), fps=FPS, images=images)
    video = {"path": "film.mp4", "width": 480, "height": 240, "fps": float(FPS), "duration": LENGTH / FPS}
    write_tracks(folder / "poses.json", Header({}, video, COCO17, {}), results)
    return folder


def tracked(film: Path, folder: Path, *words: object) -> Path:
    run(film / "film.mp4", "--poses", film / "poses.json", "-o", folder, "-q", *words)
    return folder / "film.tracks.json"


def frames(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.startswith('{"index"')]


def test_who_returns_gets_the_old_id(film: Path, tmp_path: Path) -> None:
    for seconds, expected in ((0, 3), (1, 3), (5, 2)):
        tracks = read_tracks(tracked(film, tmp_path / str(seconds), "--reidentify", seconds))
        assert len(tracks.tracks) == expected
        assert tracks.header.settings["tracker"]["reidentify"] == seconds


def test_looks_are_in_the_file_now_and_then(film: Path, tmp_path: Path) -> None:
    looked_at = {
        result.index: {person.id for person in result.people if person.appearance is not None}
        for result in read_tracks(tracked(film, tmp_path / "with"))
    }
    assert {index for index, ids in looked_at.items() if 2 in ids} == set(range(0, LENGTH, 5))
    assert looked_at[35] == {2, 3}
    without = read_tracks(tracked(film, tmp_path / "without", "--no-appearance"))
    assert all(person.appearance is None for result in without for person in result.people)


def test_without_a_video_nobody_is_looked_at(film: Path, tmp_path: Path) -> None:
    run("--poses", film / "poses.json", "-o", tmp_path / "bare.json", "-q")
    assert all(person.appearance is None for result in read_tracks(tmp_path / "bare.json") for person in result.people)


@pytest.mark.parametrize("words", [("film.mp4", "--no-appearance"), ()])
def test_looks_are_needed_to_know_people_again(film: Path, words: tuple[str, ...]) -> None:
    inputs = [film / word if word.endswith("mp4") else word for word in words]
    _, errors = run(*inputs, "--poses", film / "poses.json", "--reidentify", 5, code=2)
    assert "--reidentify" in errors


@pytest.mark.parametrize("block", [1, 7])
def test_blocks_change_nothing(film: Path, tmp_path: Path, block: int) -> None:
    words = ("--reidentify", 5)
    whole = tracked(film, tmp_path / "whole", *words)
    assert frames(tracked(film, tmp_path / "parts", *words, "--block", block)) == frames(whole)


@pytest.mark.parametrize("stop", [10, 30, 36, 40])
def test_an_interrupted_run_goes_on_with_all_that_it_remembers(film: Path, tmp_path: Path, stop: int) -> None:
    sight = StoredPoses(read_poses(film / "poses.json"))
    settings = PipelineSettings(block=4, tracker=TrackerSettings(reidentify=5))

    def interrupt(result: FrameResult) -> None:
        if result.index == stop:
            raise InterruptedError

    whole, parts = (Job(str(film / "film.mp4"), tmp_path / f"{name}.json") for name in ("whole", "parts"))
    run_job(whole, sight, settings, {})
    with pytest.raises(InterruptedError):
        run_job(parts, sight, settings, {}, watch=lambda _: interrupt)
    run_job(parts, sight, settings, {}, resume=True)
    assert parts.output.read_bytes() == whole.output.read_bytes()
    assert len(read_tracks(parts.output).tracks) == 2
