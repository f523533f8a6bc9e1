"""What a file is, told from its bytes."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from posetrack.errors import WeightsError
from posetrack.weights.containers import container, read_metadata, sha256_of


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3)}, path, {"kind": "pose"})
    return path


def test_metadata_are_read_without_the_tensors(file):
    assert container(file) == "safetensors"
    assert read_metadata(file) == {"kind": "pose"}


@pytest.mark.parametrize("protocol", ["zip", "legacy"])
def test_pytorch_checkpoints(tmp_path, protocol):
    path = tmp_path / "whatever"
    torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=protocol == "zip")
    assert container(path) == "torch"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.pth", b"", "empty"),
        ("net.pth", b"\n<!DOCTYPE html><html>", "a web page"),
        ("net.pth", b"<?xml version='1.0'?><Error><Code>AccessDenied", "a web page"),
        ("net.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        ("net.pth", b"hello", "no weights file"),
        ("net.safetensors", b"hello", "header is damaged"),
        ("net.onnx", b"hello", "no weights file"),
        ("net.mp4", b"\0\0\0\x20ftypisom", "no weights file"),
    ],
)
def test_what_is_no_weights_file_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=said) as raised:
        container(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


def test_an_absent_file_and_a_folder(tmp_path):
    with pytest.raises(WeightsError, match="no such"):
        container(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        container(tmp_path)


def test_every_truncation_is_noticed(file):
    content = file.read_bytes()
    for length in range(9, len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"truncated|damaged"):
            read_metadata(file)


def test_bytes_too_many(file):
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="1 bytes more"):
        read_metadata(file)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32"}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": []}},
        {"a": 3},
        {"__metadata__": {"kind": 1}},
        {"__metadata__": []},
    ],
    ids=str,
)
def test_headers_that_make_no_sense(file, header):
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(WeightsError, match="damaged"):
        read_metadata(file)


def test_metadata_of_a_checkpoint(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="posetrack weights import"):
        read_metadata(tmp_path / "net.pth")


def test_sha256_is_that_of_the_standard(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
