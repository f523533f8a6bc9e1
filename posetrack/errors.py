"""What can go wrong, as a person meets it.

    PosetrackError             anything posetrack refuses, with what to do about it
    ├── InputError             a video, picture or camera that cannot be read
    ├── OutputError            a place that cannot be written, or that holds something already
    ├── FormatError            a result, label or settings file that is not what it should be
    ├── WeightsError           network weights that are absent, damaged or of another kind
    └── DeviceError            a device or an optional part that this machine does not have

Every message is one line: what is wrong, with which file and where in it, and what to do.
"""

__all__ = ["DeviceError", "FormatError", "InputError", "OutputError", "PosetrackError", "WeightsError"]


class PosetrackError(Exception):
    """Anything posetrack refuses; its text says what is wrong and what to do."""


class InputError(PosetrackError):
    """A video, picture or camera that cannot be read."""


class OutputError(PosetrackError):
    """A place that cannot be written, or that holds something already."""


class FormatError(PosetrackError):
    """A result, label or settings file that is not what it should be; names file and place."""


class WeightsError(PosetrackError):
    """Network weights that are absent, damaged or of another kind."""


class DeviceError(PosetrackError):
    """A device or an optional part that this machine does not have."""
