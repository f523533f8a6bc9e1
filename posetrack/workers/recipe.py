"""What sees the people, as words: small enough to travel to a worker, which makes the networks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posetrack.results.posefile import PoseFile
from posetrack.types import Boxes

if TYPE_CHECKING:
    from posetrack.networks import NetworkSettings
    from posetrack.pipeline import Sight

__all__ = ["Recipe"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """The networks by their settings, with or without boxes from a file; or poses from a file in their place."""

    networks: NetworkSettings | None = None
    detections: Mapping[int, Boxes] | None = None
    poses: PoseFile | None = None

    @property
    def device(self) -> str:
        """What the user said of the device: auto, cpu, cuda[:N] or mps; cpu where there are no networks."""
        return self.networks.device if self.networks else "cpu"

    def on(self, device: str) -> Recipe:
        """The same networks on another device."""
        return replace(self, networks=replace(self.networks, device=device)) if self.networks else self

    def make(self, threads: int | None = None) -> tuple[Sight, dict[str, Any]]:
        """What sees the people, and what a result's header says of it.

        Raises WeightsError for weights that cannot be used and DeviceError for a device that isn't there.
        """
        if self.poses is not None:
            from posetrack.stored import StoredPoses

            return StoredPoses(self.poses), {"poses": Path(self.poses.path).name}
        from posetrack.networks import NetworkSettings, load_networks

        return load_networks(self.networks or NetworkSettings(), self.detections, threads)
