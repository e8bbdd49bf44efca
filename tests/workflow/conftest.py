"""The workflow in a folder of its own, run once with the test configuration."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

PARTS = ("Snakefile", "config", "workflow", "resources", "envs", "tests/benchmarks")
TEST_CONFIG = ("--configfile", "config/test.yaml")


class Checkout:
    """A copy of the workflow to run and to edit."""

    def __init__(self, source: Path, folder: Path, parts: Sequence[str] = PARTS) -> None:
        self.folder = folder
        skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in parts:
            copy = shutil.copy2
            if (source / part).is_dir():
                copy = partial(shutil.copytree, ignore=skipped)
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            copy(source / part, folder / part)

    def snakemake(
        self,
        *arguments: str,
        cores: int = 2,
        check: bool = True,
        config: Sequence[str] = TEST_CONFIG,
    ) -> str:
        """Runs snakemake here with this copy's library; returns all that it printed."""

        # The copy's library comes before the installed one.
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "workflow")}
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments, *config]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check and done.returncode:
            logs = self.folder.glob("results/logs/**/*.log")
            text = "\n".join(f"== {log}\n{log.read_text()[-2000:]}" for log in logs)
            raise AssertionError(f"{done.stdout}\n{text}")
        return done.stdout

    def planned(self, *targets: str, config: Sequence[str] = TEST_CONFIG) -> set[str]:
        """Names of the rules that would run for the targets."""

        output = self.snakemake("--dry-run", *targets, config=config)
        return {line.split()[1].rstrip(":") for line in output.splitlines() if _names_rule(line)}

    def edit(self, path: str, old: str, new: str) -> Callable[[], None]:
        """Replaces text in a file; the returned function puts it back, dates included."""

        file = self.folder / path
        text, times = file.read_text(), (file.stat().st_atime, file.stat().st_mtime)
        assert text.count(old) >= 1, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new, 1))

        def undo() -> None:
            file.write_text(text)
            os.utime(file, times)

        return undo


def _names_rule(line: str) -> bool:
    return line.startswith(("rule ", "localrule "))


@pytest.fixture(scope="session")
def checkout(root, tmp_path_factory) -> Callable[[str], Checkout]:
    """Makes a copy of the workflow in a new folder."""

    return lambda name: Checkout(root, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def finished(checkout) -> Checkout:
    """The workflow after `snakemake` with the test configuration."""

    copy = checkout("finished")
    copy.snakemake()
    return copy


@pytest.fixture(scope="session")
def finished_copy(finished, tmp_path_factory) -> Callable[[str], Checkout]:
    """Makes a copy of the finished workflow, results and all, to run further."""

    parts = (*PARTS, "results", ".snakemake")
    return lambda name: Checkout(finished.folder, tmp_path_factory.mktemp(name), parts)
