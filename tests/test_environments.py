"""The pinned environments agree with each other."""

import re
from importlib import metadata

import pytest
import yaml

# Names that differ between conda and PyPI.
PYPI = {"pytorch": "torch"}


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def lock(root):
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normalised(name): version for name, version in pins}


def test_torch_is_pinned_exactly(lock):
    assert lock["torch"] == "2.13.0"


def test_every_requirement_of_the_project_is_locked(root, lock):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    missing = [n for n in names if normalised(re.split(r"[<>=]", n)[0]) not in lock]
    assert missing == []


def test_the_running_environment_is_the_lock(lock):
    for name in ("torch", "numpy", "snakemake", "pyarrow", "astropy"):
        assert metadata.version(name).split("+")[0] == lock[name]


def environments(root):
    return sorted((root / "envs").glob("*.yaml"))


def test_conda_environments_have_the_versions_of_the_lock(root, lock):
    assert environments(root)
    for path in environments(root):
        entries = yaml.safe_load(path.read_text())["dependencies"]
        pip = [entry["pip"] for entry in entries if isinstance(entry, dict)]
        pins = [entry.split("=") for entry in entries if isinstance(entry, str) and "=" in entry]
        pins += [entry.split("==") for entry in (pip[0] if pip else [])]
        for name, version in pins:
            name = normalised(PYPI.get(name, name))
            if name in lock:
                assert version == lock[name], f"{path.name}: {name}"
        unpinned = [e for e in entries if isinstance(e, str) and "=" not in e and e != "pip"]
        assert unpinned == [], path.name


def test_every_conda_environment_is_used_and_exists(root):
    rules = "".join(path.read_text() for path in (root / "workflow/rules").glob("*.smk"))
    used = set(re.findall(r"envs/(\w+\.yaml)", rules))
    assert used == {path.name for path in environments(root)}
