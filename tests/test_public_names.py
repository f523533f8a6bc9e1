import subprocess
import sys

import pytest

import posetrack


def test_every_public_name_is_there():
    for name in posetrack.__all__:
        assert getattr(posetrack, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = posetrack.nothing


@pytest.mark.parametrize(
    "statement",
    [
        "import posetrack",
        "import posetrack; posetrack.load, posetrack.SKELETONS, posetrack.Person",
        "import posetrack.cli.run, posetrack.cli.render, posetrack.cli.export, posetrack.cli.eval, posetrack.cli.info",
        "import posetrack.cli.weights, posetrack.cli.train",
        "from posetrack.cli import posetrack as p; p.main(['run', '--help'], standalone_mode=False)",
        "import posetrack.runs, posetrack.pipeline, posetrack.stored, posetrack.tracker",
    ],
)
def test_torch_is_loaded_only_when_networks_are(statement):
    code = f"import sys; {statement}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
