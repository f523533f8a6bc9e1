"""Operations one after another, into a file that tells them."""

import contextlib
from dataclasses import asdict, replace

import numpy as np
import pytest
from moving import same, somebody, video, walk

from posetrack.clean.filters import FILTERS, Butterworth, OneEuro, SavitzkyGolay
from posetrack.clean.operations import (
    apply,
    clean_file,
    filling,
    keeping,
    keeping_ids,
    limiting,
    requiring,
    restricting,
    smoothing,
    stitching,
)
from posetrack.errors import FormatError, InputError, OutputError
from posetrack.results.journal import Journal
from posetrack.results.trajectories import file_sha256, read_trajectories, write_trajectories
from posetrack.skeleton import SKELETONS

EVERY = [
    smoothing(Butterworth()), smoothing(SavitzkyGolay()), smoothing(OneEuro(), by_score=False), filling(5),
    requiring(3), limiting(2), keeping("longest"), restricting(0, 0, 640, 360), stitching(10.0),
]  # fmt: skip


def two(joints=17):
    """One person with a gap, and one who is there briefly."""
    rng = np.random.default_rng(0)
    points = walk(rng, 30, joints)
    return video(somebody(1, points)[np.r_[0:10, 13:30]], somebody(2, walk(rng, 5, joints)), joints=joints)


@pytest.fixture
def tracks(tmp_path):
    write_trajectories(tmp_path / "clip.tracks.json", two())
    return tmp_path / "clip.tracks.json"


def test_the_order_is_the_one_given():
    gone, notes = apply(two(), [requiring(28), filling(5)])
    kept, _ = apply(two(), [filling(5), requiring(28)])  # filled frames don't count
    assert gone.ids == kept.ids == ()
    assert [note.split(":")[0] for note in notes] == ["min-frames frames=28", "fill frames=5"]
    first, _ = apply(two(), [requiring(6), keeping("longest"), filling(5)])
    assert [len(person) for person in first.people] == [30]


def test_history_tells_every_parameter_in_force(tracks, tmp_path):
    textbook = smoothing(OneEuro(), by_score=False)
    operations = [smoothing(Butterworth(cutoff=4)), filling(3), textbook, keeping_ids([1, 1])]
    clean_file(tracks, tmp_path / "a.json", operations)
    clean_file(tmp_path / "a.json", tmp_path / "b.json", [requiring(2), restricting(0, 0, 9e3, 9e3)])
    first, second = read_trajectories(tmp_path / "b.json").header.history
    assert first == {
        "command": "clean",
        "parent": {"name": "clip.tracks.json", "sha256": file_sha256(tracks)},
        "operations": [
            {"name": "smooth", "filter": "butterworth", "cutoff": 4, "order": 2, "by_score": True, "longest_gap": 3},
            {"name": "fill", "frames": 3},
            {"name": "smooth", "filter": "one-euro", **asdict(OneEuro()), "by_score": False, "longest_gap": 3},
            {"name": "keep", "ids": [1]},
        ],
    }
    assert second["parent"] == {"name": "a.json", "sha256": file_sha256(tmp_path / "a.json")}
    assert [o["name"] for o in second["operations"]] == ["min-frames", "region"]


def test_a_second_cleaning_keeps_the_first_raw_joints(tracks, tmp_path):
    clean_file(tracks, tmp_path / "a.json", [smoothing(Butterworth()), filling(5)])
    clean_file(tmp_path / "a.json", tmp_path / "b.json", [smoothing(SavitzkyGolay())])
    before, after = read_trajectories(tracks).people[0], read_trajectories(tmp_path / "b.json").people[0]
    seen = after.sources != "fill"
    np.testing.assert_array_equal(after.raw[seen], before.keypoints)
    assert np.isnan(after.raw[~seen, :, :2]).all()
    assert (~seen).sum() == 3
    assert after.cleaned.all()


def test_the_input_is_never_touched(tracks, tmp_path):
    data = tracks.read_bytes()
    (tmp_path / "link.json").symlink_to(tracks)
    for output in (tracks, tmp_path / "link.json", tmp_path):
        with pytest.raises(OutputError, match=r"does not change .* itself"):
            clean_file(tracks, output, [filling(5)], overwrite=True)
    (tmp_path / "b.json").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        clean_file(tracks, tmp_path / "b.json", [filling(5)])
    assert (tmp_path / "b.json").read_text() == "mine"
    assert clean_file(tracks, tmp_path / "b.json", [filling(5)], overwrite=True).path == tmp_path / "b.json"
    assert tracks.read_bytes() == data


def test_a_folder_gets_a_file_of_the_same_name(tracks, tmp_path):
    (tmp_path / "clean").mkdir()
    assert clean_file(tracks, tmp_path / "clean", [filling(5)]).path == tmp_path / "clean" / "clip.tracks.json"


def test_an_unfinished_file_is_cleaned_as_far_as_it_goes(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), Journal(tmp_path / "live.tracks.json", two().header) as journal:
        for frame in list(two().frames())[:20]:
            journal.write(frame)
        raise KeyboardInterrupt
    part = tmp_path / "live.tracks.json.part"
    data = part.read_bytes()
    cleaned = clean_file(part, tmp_path / "a.json", [smoothing(Butterworth())])
    assert "not finished; its 20 frames so far were taken" in cleaned.notes[0]
    assert cleaned.frames == 20
    with pytest.raises(OutputError, match="itself"):  # the new file would be written under the journal's own name
        clean_file(part, tmp_path / "live.tracks.json", [filling(2)], overwrite=True)
    assert part.read_bytes() == data
    part.write_bytes(data[:-40])  # killed in the midst of a line
    assert clean_file(part, tmp_path / "b.json", [filling(2)]).frames == 19


@pytest.mark.parametrize(
    "damage", [lambda d: d[: len(d) // 2], lambda d: d.replace(b'"box"', b'"bux"', 1), lambda d: b""]
)
def test_a_damaged_file_is_refused_and_nothing_is_left(tracks, tmp_path, damage):
    tracks.write_bytes(damage(tracks.read_bytes()))
    with pytest.raises(FormatError, match=r"clip\.tracks\.json"):
        clean_file(tracks, tmp_path / "a.json", [smoothing(Butterworth())])
    assert [path.name for path in tmp_path.iterdir()] == ["clip.tracks.json"]


def test_an_operation_that_cannot_be_done_leaves_nothing(tracks, tmp_path):
    with pytest.raises(InputError, match="no person 9"):
        clean_file(tracks, tmp_path / "a.json", [filling(2), keeping_ids([9])])
    assert [path.name for path in tmp_path.iterdir()] == ["clip.tracks.json"]


@pytest.mark.parametrize("operation", EVERY, ids=lambda o: " ".join(map(str, o.record.values())))
def test_nobody_and_one_frame(tmp_path, operation):
    one = video(somebody(1, walk(np.random.default_rng(0), 1, 17)))
    for name, given in {"nothing": video(frames=0), "nobody": video(frames=5), "one": one}.items():
        write_trajectories(tmp_path / f"{name}.json", given)
        cleaned = clean_file(tmp_path / f"{name}.json", tmp_path / f"{name}.clean.json", [operation])
        assert cleaned.before == len(given.people)
        if name != "one" or operation.name != "min-frames":
            same(read_trajectories(cleaned.path), read_trajectories(tmp_path / f"{name}.json"))


@pytest.mark.parametrize("skeleton", [*SKELETONS.values(), two(5).skeleton], ids=lambda s: s.name)
def test_any_skeleton(tmp_path, skeleton):
    given = two(len(skeleton))
    write_trajectories(tmp_path / "a.json", replace(given, header=replace(given.header, skeleton=skeleton)))
    clean_file(tmp_path / "a.json", tmp_path / "b.json", EVERY)
    cleaned = read_trajectories(tmp_path / "b.json")
    assert cleaned.skeleton == skeleton
    assert [len(person) for person in cleaned.people] == [30]


def test_what_is_cleaned_fits_the_schema(tracks, tmp_path):
    import json
    from importlib.resources import files

    import jsonschema

    schema = json.loads(files("posetrack.results").joinpath("schema.json").read_text("utf-8"))
    clean_file(tracks, tmp_path / "a.json", EVERY)
    document = json.loads((tmp_path / "a.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(document)
    assert {person["from"] for frame in document["frames"] for person in frame["people"]} == {"detector", "fill"}
    assert len(document["history"][0]["operations"]) == len(EVERY)


def test_the_same_cleaning_gives_the_same_bytes(tracks, tmp_path):
    for name in ("a.json", "b.json"):
        clean_file(tracks, tmp_path / name, EVERY)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_names_stay(tmp_path):
    given = two()
    named = replace(given, people=(replace(given.people[0], name="Ana"), given.people[1]))
    write_trajectories(tmp_path / "a.json", named)
    clean_file(tmp_path / "a.json", tmp_path / "b.json", EVERY)
    assert read_trajectories(tmp_path / "b.json").names == {1: "Ana"}


def test_every_filter_can_be_told():
    assert [smoothing(kind()).record["filter"] for kind in FILTERS.values()] == list(FILTERS)
