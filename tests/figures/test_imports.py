"""Figures are drawn in an environment that has neither torch nor SciPy."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import uraniborg.figures as figures

for module in pkgutil.iter_modules(figures.__path__):
    importlib.import_module(f"uraniborg.figures.{module.name}")
    print(module.name, {"torch", "scipy", "sklearn", "captum"} & set(sys.modules))
"""


def test_drawing_needs_neither_torch_nor_scipy_nor_trees():
    command = [sys.executable, "-c", PROGRAM]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not line.endswith(" set()")] == []
