"""python -m posetrack, and the `posetrack` command."""

from posetrack.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
