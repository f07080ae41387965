"""Real data and third parties' vectors, which stand beside the project and are not its own."""

import os
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parents[2] / "shared"


def shared_data(path: str) -> Path:
    """A file of the folder ``../shared`` beside the project, such as ``data/expected.json``.

    Without it a test is skipped and says so; where ``CI`` is set it fails, since a run that
    leaves out the real data proves less than it seems to.
    """
    file = _FOLDER / path
    if file.exists():
        return file
    message = f"real data missing: {file} (the folder 'shared' stands beside the project)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
