"""Digests that decide what reruns: of the library code that a script uses, and of settings."""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["code_digest", "settings_digest"]

_PACKAGE = "uraniborg"


def code_digest(script: str | Path) -> str:
    """A digest of the library modules that a script imports, directly or through others.

    As a parameter of a rule it makes an edit of the library rerun just the rules that use it.
    Comments, formatting and docstrings do not count. The library is found without importing it.

    Args:
        script: Path of a Python file.
    """

    digest = hashlib.sha256()
    for path in sorted(_modules(Path(script))):
        digest.update(_normalised(path).encode())
    return digest.hexdigest()[:16]


def settings_digest(settings: object) -> str:
    """A digest of JSON-like settings, independent of the order of keys."""

    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _library() -> Path:
    return Path(importlib.util.find_spec(_PACKAGE).origin).parent


def _modules(script: Path) -> set[Path]:
    """The library's files that the script needs, transitively."""

    found: set[Path] = set()
    queue = [script]
    while queue:
        new = set(_imports(queue.pop())) - found
        found |= new
        queue.extend(new)
    return found


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    return tuple(_resolve(ast.parse(path.read_text())))


def _resolve(tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import module` names a module, `from module import name` does not.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package != _PACKAGE:
                continue
            stem = _library().joinpath(*parts)
            candidates = (stem.with_suffix(".py") if parts else stem, stem / "__init__.py")
            yield from (file for file in candidates if file.is_file())


@cache
def _normalised(path: Path) -> str:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            isinstance(body[0] if body else None, ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)
