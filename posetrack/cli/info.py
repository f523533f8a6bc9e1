"""posetrack info: what posetrack makes of a video, a result, a weights file, this machine."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from posetrack import __version__

__all__ = ["info"]

_PACKAGES = ("torch", "torchvision", "opencv-contrib-python-headless", "av", "numpy", "scipy", "pycocotools")
_EXTRAS = {
    "tables": "pyarrow", "plots": "matplotlib", "onnx": "onnxruntime", "train": "tensorboard", "demo": "scikit-image",
    "ray": "ray", "remote": "fsspec",
}  # fmt: skip
_OTHER_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")


@click.command()
@click.argument("file", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def info(file: str | None, as_json: bool) -> None:
    """What posetrack makes of FILE (a video, a result, a weights file), or of this machine."""
    record = _machine() if file is None else _file(file)
    if as_json:
        import orjson

        click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2, default=str))
        return
    width = max(map(len, record))
    for key, value in record.items():
        click.echo(f"{key:<{width}}  {'-' if value is None or value == '' else value}")


def _file(file: str) -> dict[str, Any]:
    name = file.lower()
    if name.endswith((".safetensors", ".pth", ".pt", ".tar", ".onnx")):
        return _weights(file)
    if name.endswith((".json", ".json.part")):
        return _result(file)
    return _video(file)


def _video(file: str) -> dict[str, Any]:
    from posetrack.video import open_video

    with open_video(file) as reader:
        return {"kind": "video", **asdict(reader.info), "blocks": _blocks(file)}


def _blocks(file: str) -> str:
    """How a video comes to several workers: each seeks to its blocks, or one decodes for all."""
    from posetrack.video import FrameIndex, build_index

    index = build_index(file)
    if not isinstance(index, FrameIndex):
        return f"one decoder for all, because {index}"
    return f"seeks exactly, {f'{len(index.keys)} key frames' if len(index.entries) else 'pictures stand alone'}"


def _result(file: str) -> dict[str, Any]:
    from posetrack.results.native import read_tracks

    reader = read_tracks(file)
    header, tracks = reader.header, reader.tracks
    return {
        "kind": "result" if reader.complete else "journal of a run that is not finished",
        "video": header.video.get("path"),
        "size": f"{header.video.get('width')}x{header.video.get('height')}",
        "frames": header.video.get("frames_read"),
        "people": len(tracks),
        "longest track": max((track.frames for track in tracks), default=0),
        "skeleton": header.skeleton.name,
        "made by": " ".join(f"{key} {value}" for key, value in header.generator.items() if key != "name"),
        **{f"settings.{key}": value for key, value in header.settings.items()},
    }


def _weights(file: str) -> dict[str, Any]:
    from posetrack.weights import load_weights

    weights = load_weights(file)
    return {
        "kind": weights.kind,
        "parameters": f"{sum(t.numel() for k, t in weights.state.items() if 'running' not in k) / 1e6:.2f} M",
        "size": f"{Path(file).stat().st_size / 1e6:.1f} MB",
        "sha256": weights.sha256,
        **weights.metadata,
    }


def _machine() -> dict[str, Any]:
    from posetrack.cores import core_count
    from posetrack.networks import find_device
    from posetrack.precision import working_dtype
    from posetrack.weights.catalogue import shipped_folder

    device = find_device("auto")
    others = [name for name in _OTHER_OPENCV if _version(name)]
    return {
        "posetrack": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{package: _version(package) or "not installed" for package in _PACKAGES},
        "opencv": _opencv(others),
        "extras": ", ".join(extra for extra, package in _EXTRAS.items() if _version(package)) or "none",
        "cores": f"{core_count()} of {os.cpu_count()}",
        "device": _device(device),
        "precision": str(working_dtype(device, "auto")).removeprefix("torch."),
        "shipped weights": shipped_folder(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _opencv(others: list[str]) -> str:
    """Whether the right one of OpenCV's wheels is here; two of them overwrite each other's files."""
    import cv2

    contrib = "with" if hasattr(cv2, "optflow") else "without"
    said = f"{cv2.__version__}, {contrib} contrib modules"
    if others:
        said += (
            f"; {', '.join(others)} is installed too and shares its files: uninstall all of OpenCV's wheels, "
            "then install opencv-contrib-python-headless"
        )
    return said


def _device(device: Any) -> str:
    if device.type != "cuda":
        return str(device)
    import torch

    return f"cuda, {torch.cuda.get_device_name(device)}"
