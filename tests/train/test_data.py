"""Reading labelled pictures, cutting people out, and machine-made joints."""

import json
import zipfile

import numpy as np
import pytest
from stick_people import shard

from posetrack.errors import FormatError, InputError
from posetrack.train.crops import open_people
from posetrack.train.data import (
    CropCache,
    LabelledPerson,
    PeopleSet,
    Shard,
    fill_from_machine,
    machine_joints,
    machine_people,
    people_of,
)


@pytest.fixture
def drawn(tmp_path):
    return shard(tmp_path / "drawn.zip", 5)


def test_zip_and_folder_and_json_are_the_same(drawn, tmp_path):
    folder = tmp_path / "folder"
    with zipfile.ZipFile(drawn) as archive:
        archive.extractall(folder)
    sources = [Shard(drawn), Shard(folder), Shard(folder / "annotations.json", folder / "images")]
    assert sources[0].annotations == sources[1].annotations == sources[2].annotations
    for source in sources[1:]:
        assert np.array_equal(source.picture(3), sources[0].picture(3))


def test_pictures_without_people_are_listed_too(drawn):
    source = Shard(drawn)
    source.annotations = [a for a in source.annotations if a["image_id"] != 2]
    assert source.by_image()[2] == []
    assert [len(group) for group in source.by_image().values()] == [1, 0, 1, 1, 1]


def _broken(tmp_path, **members):
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return path


def test_faults_name_the_file(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Shard(tmp_path / "nowhere.zip")
    with pytest.raises(InputError, match=r"annotations\.json"):
        Shard(tmp_path)
    with pytest.raises(FormatError, match=r"no annotations\.json"):
        Shard(_broken(tmp_path, other="x"))
    with pytest.raises(FormatError, match="not COCO JSON"):
        Shard(_broken(tmp_path, **{"annotations.json": "{"}))
    content = json.dumps({"images": [{"id": 1, "file_name": "1.png"}], "annotations": []})
    with pytest.raises(FormatError, match=r"images/1\.png"):
        Shard(_broken(tmp_path, **{"annotations.json": content})).picture(1)
    with pytest.raises(InputError, match="decoded"):
        Shard(_broken(tmp_path, **{"annotations.json": content, "images__1.png": "no picture"})).picture(1)


def test_a_shard_without_joints_is_refused(tmp_path):
    with pytest.raises(FormatError, match="nobody"):
        open_people([(shard(tmp_path / "none.zip", 2, labelled=()), 0)], None, 2 / 3)


def test_people_keep_their_pixels_when_cut_out(drawn):
    source = Shard(drawn)
    people = people_of(source)
    whole = CropCache.build(source, people, 1000, 2 / 3)
    for i, person in enumerate(people):
        picture, crop = source.picture(person.image_id), whole.crop(i)
        shift = person.joints[0, :2] - whole.joints[i, 0, :2]
        x, y = (int(v) for v in np.round(shift))
        assert np.array_equal(crop, picture[y : y + crop.shape[0], x : x + crop.shape[1]])
        np.testing.assert_allclose(whole.boxes[i], person.box - [x, y, x, y], atol=1e-4)


def test_shrinking_moves_joints_with_the_pixels(drawn):
    source = Shard(drawn)
    people = people_of(source)
    small = CropCache.build(source, people, 70, 2 / 3)
    for i, person in enumerate(people):
        high = small.boxes[i, 3] - small.boxes[i, 1]
        assert high < 72
        # the nose is a bluish disc: its centre is where the label says
        crop = small.crop(i).astype(float)
        blue = np.clip(crop[..., 2] - crop[..., 0] - 60, 0, None)
        x, y = small.joints[i, 0, :2]
        rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]]
        near = blue * ((columns - x) ** 2 + (rows - y) ** 2 < 9)
        if near.sum() > 0:
            centre = np.array([(near * columns).sum(), (near * rows).sum()]) / near.sum()
            assert np.abs(centre - [x, y]).max() < 1
        assert person.joints.shape == small.joints[i].shape


def test_a_saved_cache_is_the_same(drawn, tmp_path):
    first = open_people([(drawn, 0)], None, 2 / 3, tmp_path / "cache").caches[0]
    again = open_people([(drawn, 0)], None, 2 / 3, tmp_path / "cache").caches[0]
    first.save(next((tmp_path / "cache").iterdir()))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    fresh = open_people([(drawn, 0)], None, 2 / 3).caches[0]
    for name in ("pixels", "offsets", "shapes", "boxes", "joints"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert np.array_equal(getattr(first, name), getattr(fresh, name))


def test_sets_are_drawn_by_their_shares(drawn):
    cache = open_people([(drawn, 0)], None, 2 / 3).caches[0]
    other = CropCache(cache.pixels, cache.offsets, cache.shapes, cache.boxes, cache.joints)
    people = PeopleSet((cache, other), (3.0, 1.0))
    drawn_from = [which is cache for which, _ in people.draw(np.random.default_rng(0), 4000)]
    assert 0.72 < np.mean(drawn_from) < 0.78


def _machine(tmp_path, rows):
    path = tmp_path / "machine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("joints/drawn.json", json.dumps(rows))
    return path


def test_machine_joints_weigh_by_their_score(tmp_path):
    scores = [0.2, 0.25, 0.5, 0.75, 0.95] + [0.0] * 12
    keypoints = [value for score in scores for value in (1.0, 2.0, score)]
    path = _machine(tmp_path, [{"annotation_id": 7, "keypoints": keypoints}])
    joints = machine_joints(path, "joints/drawn.json")[7]
    np.testing.assert_allclose(joints[:5, 2], [0, 0, 0.3, 0.6, 0.6], atol=1e-6)


def test_machine_joints_fill_gaps_and_doubt_what_they_contradict():
    own = np.zeros((17, 3), np.float32)
    own[5:] = [50, 50, 1]
    machine = np.tile(np.array([52, 52, 0.6], np.float32), (17, 1))
    machine[9, :2] = 190
    person = LabelledPerson(1, np.array([0, 0, 100, 200], np.float32), own, 7)
    filled = fill_from_machine([person], {7: machine})[0].joints
    np.testing.assert_allclose(filled[:5], machine[:5])
    np.testing.assert_allclose(filled[5:9], own[5:9])
    assert filled[9, 2] == 0
    assert fill_from_machine([person], {})[0] is person


def test_boxes_become_people_where_enough_joints_are_trusted(drawn):
    source = Shard(drawn)
    sure, unsure = np.full((17, 3), 0.6, np.float32), np.zeros((17, 3), np.float32)
    people = machine_people(source, {1: sure, 2: unsure})
    assert [person.annotation_id for person in people] == [1]
    assert open_people([(drawn, 0)], None, 2 / 3).caches[0].joints[..., 2].min() == 1
