"""Videos from object stores and results to them, here a store in memory and one that is full of trouble."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pytest
from clips import make_clip, number, picture, tone
from fsspec.implementations.memory import MemoryFileSystem
from running import run

from posetrack.errors import InputError, OutputError
from posetrack.remote import RemoteFile, Shelf, is_remote, local_name
from posetrack.video import BlockReader, FrameIndex, VideoWriter, build_index, expand_inputs, open_video


class TroubledStore(MemoryFileSystem):
    """A store in memory of which some names mean trouble: secret, broken, stream, full."""

    protocol = "troubled"
    store: dict[str, Any] = {}  # noqa: RUF012 (as fsspec has it)
    pseudo_dirs = [""]  # noqa: RUF012
    read, breaks_at = 0, 40_000

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return super()._strip_protocol(path.replace("troubled://", "memory://"))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if "secret" in path or ("full" in path and "w" in mode):
            raise PermissionError(path) if "secret" in path else OSError(28, "No space left on device")
        file = super()._open(path, mode, **options)
        if mode == "rb":
            return _TroubledFile(file.getvalue(), path)
        return file


class _TroubledFile(io.BytesIO):
    def __init__(self, data: bytes, path: str) -> None:
        super().__init__(data)
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        if "broken" in self._path and TroubledStore.read > TroubledStore.breaks_at:
            raise RuntimeError("the connection\nis lost")
        data = super().read(size)
        TroubledStore.read += len(data)
        return data

    def seekable(self) -> bool:
        return "stream" not in self._path


fsspec.register_implementation("troubled", TroubledStore)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("POSETRACK_HOME", str(tmp_path / "home"))
    memory, troubled = fsspec.filesystem("memory"), fsspec.filesystem("troubled")
    yield memory
    TroubledStore.read = 0
    for system in (memory, troubled):
        system.store.clear()
        system.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 40, options={"g": "10"})


# -- reading ---------------------------------------------------------------------------------------------------------


def frames(source: Any, **options: Any) -> list[Any]:
    with open_video(source, **options) as video:
        return [(frame.index, frame.time, frame.image.tobytes()) for frame in video]


def test_a_video_in_a_store_is_the_video(store: Any, clip: Path) -> None:
    store.pipe("/bucket/clip.mp4", clip.read_bytes())
    url = "memory://bucket/clip.mp4"
    assert frames(url) == frames(clip)
    index = build_index(url)
    assert isinstance(index, FrameIndex)
    assert index.times.tolist() == [time for _, time, _ in frames(clip)]
    with BlockReader(url, index) as reader:
        assert [number(frame.image) for frame in reader.read(range(24, 29))] == list(range(24, 29))
    assert frames(url, start_index=31, index=index) == frames(clip)[31:]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip of some megabytes."""
    noise = np.random.default_rng(0).integers(0, 255, (100, 120, 160, 3), np.uint8)
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return make_clip(path, 100, size=(160, 120), images=list(noise), options={"g": "10"}).read_bytes()


def test_only_the_ranges_that_are_wanted_are_read(store: Any, long: bytes) -> None:
    fsspec.filesystem("troubled").pipe("/long.mp4", long)
    index = build_index("troubled://long.mp4")
    assert isinstance(index, FrameIndex)
    with BlockReader("troubled://long.mp4", index) as reader:
        TroubledStore.read = 0
        reader.read(range(70, 80))
    assert 0 < TroubledStore.read < len(long) / 4


def test_what_cannot_be_sought_is_fetched_first(store: Any, clip: Path) -> None:
    fsspec.filesystem("troubled").pipe("/stream.mp4", clip.read_bytes())
    assert frames("troubled://stream.mp4") == frames(clip)


def test_folders_and_patterns_stand_for_their_videos(store: Any, clip: Path) -> None:
    for name in ("b/v10.mp4", "b/v9.mp4", "b/v9.tracks.mp4", "b/.hidden.mp4", "b/notes.txt", "c/v1.mov", "empty/a.txt"):
        store.pipe(f"/{name}", clip.read_bytes())
    nine, ten = "memory:///b/v9.mp4", "memory:///b/v10.mp4"
    assert expand_inputs(["memory://b"]) == expand_inputs(["memory://b/v*.mp4"]) == [nine, ten]
    assert expand_inputs(["memory://*/*.m*"]) == [nine, ten, "memory:///c/v1.mov"]
    assert expand_inputs(["memory://b/v9.mp4", "memory://none.mp4"]) == ["memory://b/v9.mp4", "memory://none.mp4"]
    assert len(frames("memory://c/*.mov")) == 40
    for nothing in ("memory://empty", "memory://b/*.txt", "memory://nowhere/*"):
        with pytest.raises(InputError, match="no video"):
            expand_inputs([nothing])


def test_pictures_in_a_store_are_a_sequence(store: Any) -> None:
    for n in range(11):
        store.pipe(f"/b/img{n}.png", cv2.imencode(".png", picture(n)[..., ::-1])[1].tobytes())
    assert expand_inputs(["memory://b", "memory://b/img?.png"]) == ["memory://b", "memory://b/img?.png"]
    with open_video("memory://b") as video:
        assert [number(frame.image) for frame in video] == list(range(11))
        assert video.info.kind == "pictures"
    with open_video("memory://b/img?.png") as video:
        assert video.info.frames_estimate == 10
    with open_video("memory://b/img7.png") as video:
        assert [number(frame.image) for frame in video] == [7]


def test_names_of_files_are_files(clip: Path) -> None:
    assert local_name(clip.as_uri()) == str(clip)
    assert frames(clip.as_uri()) == frames(clip)
    assert expand_inputs([clip.parent.as_uri()]) == [str(clip)]
    assert isinstance(build_index(clip.as_uri()), FrameIndex)
    remote = {"s3://b/a.mp4": True, "simplecache::gs://b/a": True, "https://h/a": False, "rtsp://h": False, "a": False}
    assert {name: is_remote(name) for name in remote} == remote


BAD = {
    "memory://none.mp4": "no such file in the store; check the name",
    "troubled://secret.mp4": "the store denies it; check your credentials",
    "troubled://broken.mp4": r"cannot be read \(the connection is lost\); check",
    "troubled://empty.mp4": "the file is empty",
    "troubled://text.mp4": "not a video",
    "nonsense://a.mp4": "nonsense:// is no protocol that fsspec knows; check",
}


@pytest.mark.parametrize("url", BAD)
def test_trouble_with_a_store_is_told_in_one_line(url: str, store: Any, long: bytes) -> None:
    troubled = fsspec.filesystem("troubled")
    troubled.pipe({"/broken.mp4": long, "/empty.mp4": b"", "/text.mp4": b"Dear diary,\n" * 99})
    with pytest.raises(InputError, match=BAD[url]) as caught:
        frames(url)
    assert str(caught.value).startswith(url)
    assert "\n" not in str(caught.value)


def test_without_the_extra_it_is_told_what_to_install() -> None:
    program = """
        import sys
        sys.modules["fsspec"] = sys.modules["fsspec.core"] = None
        from posetrack.video import open_video
        try:
            open_video("s3://bucket/clip.mp4")
        except Exception as error:
            print(error)
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    expected = "s3://bucket/clip.mp4: is remote, and fsspec is not installed; pip install 'posetrack[remote]'"
    assert told == expected


def test_local_videos_import_no_fsspec(clip: Path) -> None:
    program = f"""
        import sys
        from posetrack.video import open_video
        with open_video({str(clip)!r}) as video:
            next(iter(video))
        print("fsspec" in sys.modules)
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_the_drawn_video_of_one_in_a_store_keeps_its_sound(store: Any, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.mp4", 25, sound=tone(1, 0.5), options={"bf": "0"})
    store.pipe("/in.mp4", path.read_bytes())
    with open_video("memory://in.mp4") as video, VideoWriter.like(video.info, tmp_path / "out.mp4") as writer:
        for frame in video:
            writer.write(frame.image, frame.time)
    assert writer.warnings == []
    with open_video(tmp_path / "out.mp4") as copy:
        assert copy.info.audio_codec == "aac"


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_shelf_takes_whole_files_only(store: Any, tmp_path: Path) -> None:
    shelf = Shelf("memory://out/deep/")
    assert shelf.names() == set()
    made = shelf.output / "a.json"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"one")
    shelf.put(made)
    assert not made.exists()
    assert shelf.names() == {"a.json"}
    made.write_bytes(b"two")
    with pytest.raises(OutputError, match=r"has come to exist meanwhile.*kept as"):
        shelf.put(made)
    assert store.cat("/out/deep/a.json") == b"one"
    shelf.put(made, overwrite=True, keep=True)
    assert (store.cat("/out/deep/a.json"), made.read_bytes()) == (b"two", b"two")
    made.unlink()
    shelf.fetch(made)
    assert made.read_bytes() == b"two"
    assert Shelf("memory://out/deep").folder == shelf.folder != Shelf("memory://out").folder


def test_a_store_that_is_full_leaves_nothing_and_keeps_the_result_here(store: Any) -> None:
    shelf = Shelf("troubled://full")
    made = shelf.output / "a.json"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"one")
    with pytest.raises(OutputError, match=r"troubled://full/a\.json: cannot be written .*No space.*kept as") as caught:
        shelf.put(made)
    assert str(made) in str(caught.value)
    assert made.read_bytes() == b"one"
    assert shelf.names() == set()


def test_results_in_a_store_are_those_of_a_plain_run(store: Any, people: Path, tmp_path: Path) -> None:
    poses = ("--poses", people / "clip.tracks.json")
    store.pipe("/in/clip.mp4", (people / "clip.mp4").read_bytes())
    run(people / "clip.mp4", *poses, "-o", tmp_path / "plain")
    plain = (tmp_path / "plain/clip.tracks.json").read_bytes()

    out, _ = run("memory://in/clip.mp4", *poses, "--render", "-o", "memory://out")
    assert "memory://out/clip.tracks.json  21 frames" in out
    assert {name for name in store.store if "/out/" in name} == {"/out/clip.tracks.json", "/out/clip.tracks.mp4"}
    assert store.cat("/out/clip.tracks.json") == plain
    _, errors = run("memory://in/clip.mp4", *poses, "-o", "memory://out", code=1)
    assert "memory://out/clip.tracks.json exists already" in errors
    out, _ = run("memory://in/clip.mp4", *poses, "-o", "memory://out", "--resume")
    assert "memory://out/clip.tracks.json  done already" in out
    store.pipe("/out/clip.tracks.json", b"old")
    run("memory://in/clip.mp4", *poses, "-o", "memory://out", "--overwrite")
    assert store.cat("/out/clip.tracks.json") == plain
    run("memory://in/clip.mp4", *poses, "-o", "memory://single/name.json", "-q")
    assert store.cat("/single/name.json") == plain
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_a_video_still_to_be_drawn_is_drawn(store: Any, people: Path) -> None:
    poses = ("--poses", people / "clip.tracks.json")
    run(people / "clip.mp4", *poses, "-o", "memory://out")
    before = store.cat("/out/clip.tracks.json")
    run(people / "clip.mp4", *poses, "-o", "memory://out", "--resume", "--render")
    assert store.cat("/out/clip.tracks.json") == before
    assert len(frames("memory://out/clip.tracks.mp4")) == 21


def test_a_result_that_could_not_be_put_is_put_by_the_next_run(
    store: Any, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (people / "clip.mp4", "--poses", people / "clip.tracks.json", "-o", "troubled://full")
    _, errors = run(*words, code=1)
    assert "No space left" in errors
    monkeypatch.setattr(TroubledStore, "_open", MemoryFileSystem._open)
    run(*words, "--resume")
    assert Shelf("troubled://full").names() == {"clip.tracks.json"}


def test_a_run_that_broke_off_goes_on_from_its_journal(
    store: Any, people: Path, long: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fsspec.filesystem("troubled").pipe("/broken.mp4", long)
    monkeypatch.setattr(TroubledStore, "breaks_at", len(long) * 2 // 3)
    words = ("troubled://broken.mp4", "--poses", people / "clip.tracks.json", "-o", "memory://out")
    _, errors = run(*words, code=1)
    assert "the connection is lost" in errors
    (journal,) = (tmp_path / "home").rglob("*.part")
    assert journal.read_bytes().count(b'{"index":') >= 48
    assert not store.exists("/out/broken.tracks.json")
    monkeypatch.setattr(TroubledStore, "breaks_at", 99 * len(long))
    run(*words, "--resume")
    run(*words[:3], "-o", tmp_path / "plain")
    assert store.cat("/out/broken.tracks.json") == (tmp_path / "plain/broken.tracks.json").read_bytes()


def test_a_folder_in_a_store_gets_its_index(store: Any, clip: Path) -> None:
    for n in range(2):
        store.pipe(f"/in/{n}.mp4", clip.read_bytes())
    url = "memory://in/*.mp4"
    words = (url, "-o", "memory://out", "--flow", "none", "--detect-every", 1000)
    run(*words)
    assert {name for name in store.store if "/out/" in name} == {
        "/out/0.tracks.json", "/out/1.tracks.json", "/out/runs.jsonl",
    }  # fmt: skip
    listed = store.cat("/out/runs.jsonl").decode()
    assert listed.count('"state":"done"') == 2
    run(*words, "--resume")
    assert store.cat("/out/runs.jsonl").decode() == listed


def test_places_where_nothing_can_be_written_are_refused(clip: Path) -> None:
    _, errors = run(clip, "-o", "https://host/out", code=2)
    assert "nothing can be written there" in errors


def test_a_remote_file_reads_as_a_file(store: Any) -> None:
    store.pipe("/a", b"0123456789")
    file = RemoteFile("memory://a")
    assert (file.read(3), file.tell(), file.seek(-2, 2), file.read()) == (b"012", 3, 8, b"89")
