"""What a pose network is and wants, as its weights file tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

from posetrack.errors import FormatError, WeightsError
from posetrack.pose.network import PoseArchitecture
from posetrack.skeleton import Skeleton, find_skeleton

__all__ = ["PoseInput", "PoseSpec"]


@dataclass(frozen=True)
class PoseInput:
    """The pictures that a pose network wants.

    Crops of `width` x `height` pixels, planes in `colour_order`, each plane less its `mean` and divided by
    its `std`, both in grey levels of 0..255 and in the order of the planes as they are fed (the published
    checkpoints want BGR planes with the constants of RGB, REFERENCE 2.3). `unbiased` names the crop's
    convention, see posetrack.pose.crop.
    """

    height: int
    width: int
    colour_order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    unbiased: bool

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 32 or self.height % 32 or self.width % 32:
            raise ValueError(f"height and width are multiples of 32, not {self.height} and {self.width}")
        if self.colour_order not in ("RGB", "BGR"):
            raise ValueError(f"colour_order is RGB or BGR, not {self.colour_order}")
        if min(self.std) <= 0:
            raise ValueError(f"std is above 0, not {self.std}")


@dataclass(frozen=True)
class PoseSpec:
    """What a pose network is built from, what it wants to see, and the skeleton whose joints it gives."""

    architecture: PoseArchitecture
    input: PoseInput
    skeleton: Skeleton

    def __post_init__(self) -> None:
        if len(self.skeleton) != self.architecture.joints:
            raise ValueError(
                f"skeleton {self.skeleton.name} has {len(self.skeleton)} joints, "
                f"the architecture {self.architecture.joints}"
            )

    def to_metadata(self) -> dict[str, str]:
        """The metadata of a weights file that say all this: `kind`, `architecture`, `input`, `skeleton`."""
        return {
            "kind": "pose",
            "architecture": json.dumps(asdict(self.architecture)),
            "input": json.dumps(asdict(self.input)),
            "skeleton": self.skeleton.name,
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str = "weights") -> PoseSpec:
        """The spec that a weights file's metadata tell.

        WeightsError that names `source` and the field where they don't.
        """
        if metadata.get("kind") != "pose":
            raise WeightsError(f"{source}: 'kind' is {metadata.get('kind')!r}, not 'pose'; give pose weights here")
        try:
            skeleton = find_skeleton(_entry(metadata, "skeleton", source))
            return cls(
                _record(PoseArchitecture, metadata, "architecture", source),
                _record(PoseInput, metadata, "input", source),
                skeleton,
            )
        except FormatError as error:
            raise WeightsError(f"{source}: 'skeleton': {error}") from error
        except ValueError as error:
            raise WeightsError(f"{source}: {error}") from error


def _entry(metadata: Mapping[str, str], key: str, source: str) -> str:
    if key not in metadata:
        raise WeightsError(f"{source}: metadata lack '{key}'; import it with `posetrack weights import`")
    return metadata[key]


def _record(record: type[Any], metadata: Mapping[str, str], key: str, source: str) -> Any:
    """The dataclass `record` from the JSON object at `key`: its fields, each of its kind, and no other.

    Fields with a default may be missing, so that files outlive the fields that are added.
    """
    try:
        values = json.loads(_entry(metadata, key, source))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{source}: '{key}' is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{source}: '{key}' is not a JSON object")
    known = {field.name: field.default is MISSING for field in fields(record)}
    if missing := [name for name, needed in known.items() if needed and name not in values]:
        raise WeightsError(f"{source}: '{key}' lacks '{missing[0]}'")
    if unknown := [name for name in values if name not in known]:
        raise WeightsError(f"{source}: '{key}' has an unknown field '{unknown[0]}'")
    try:
        return record(**{name: _value(name, value) for name, value in values.items()})
    except ValueError as error:
        raise WeightsError(f"{source}: '{key}': {error}") from error


def _value(name: str, value: Any) -> Any:
    """`value` of field `name`, lists as tuples; ValueError where it is of another kind."""
    wanted, fits = _KINDS[name]
    if not fits(value):
        raise ValueError(f"'{name}' is {wanted}, not {json.dumps(value)}")
    return tuple(value) if isinstance(value, list) else value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_count, value))


def _are_levels(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e6 for v in value)
    )


_COUNT = ("a whole number above 0", _is_count)
_COUNTS = ("a list of whole numbers above 0", _are_counts)
_LEVELS = ("three numbers", _are_levels)
_FLAG = ("true or false", _is_flag)
_TEXT = ("a name", _is_text)
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "body": _TEXT, "joints": _COUNT, "deconv_filters": _COUNTS, "deconv_kernels": _COUNTS, "laterals": _FLAG,
    "final_kernel": _COUNT, "deconv_bias": _FLAG, "stride_first": _FLAG,
    "height": _COUNT, "width": _COUNT, "colour_order": _TEXT, "mean": _LEVELS, "std": _LEVELS,
    "unbiased": _FLAG,
}  # fmt: skip
"""What each field is, in words and as a test."""
