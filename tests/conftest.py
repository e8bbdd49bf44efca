"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run; no deadline, because other jobs may share the cores.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's top folder."""

    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, or a skipped test where there is none."""

    folder = Path(os.environ.get("URANIBORG_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent (set URANIBORG_DATA to a copy)")
    return folder
