import importlib.util
import sys

import pytest

from uraniborg import provenance


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library of its own in place of the real one, and a script that uses it."""

    package = tmp_path / "uraniborg"
    (package / "nets").mkdir(parents=True)
    for path in ("__init__.py", "nets/__init__.py"):
        (package / path).write_text("")
    (package / "a.py").write_text("from uraniborg.nets.b import f\n")
    (package / "nets/b.py").write_text('def f():\n    """Doc."""\n    return 1\n')
    (package / "c.py").write_text("x = 1\n")
    script = tmp_path / "script.py"
    script.write_text("from uraniborg import a\nimport numpy\n")
    monkeypatch.setattr(provenance, "_library", lambda: package)

    def digest():
        provenance._imports.cache_clear()
        provenance._normalised.cache_clear()
        return provenance.code_digest(script)

    return package, script, digest


def test_an_edit_of_an_imported_module_changes_the_digest(library):
    package, _, digest = library
    before = digest()
    (package / "nets/b.py").write_text('def f():\n    """Doc."""\n    return 2\n')
    assert digest() != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.py", "x = 2\n"),
        ("nets/b.py", 'def f():\n    """Other words."""\n    # and a comment\n    return 1\n'),
    ],
    ids=["module not imported", "documentation"],
)
def test_other_edits_do_not(library, name, text):
    package, _, digest = library
    before = digest()
    (package / name).write_text(text)
    assert digest() == before


def test_the_script_itself_is_not_part_of_it(library):
    _, script, digest = library
    before = digest()
    script.write_text("from uraniborg import a\nprint(1)\n")
    assert digest() == before


def test_digests_are_taken_without_importing_torch(root):
    import subprocess

    program = (
        "import sys; from uraniborg.provenance import code_digest; "
        "code_digest('workflow/scripts/spender/train.py'); "
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)


def test_all_modules_of_a_script_are_found(root):
    found = provenance._modules(root / "workflow/scripts/spender/train.py")
    names = {path.name for path in found}
    assert {"training.py", "decoders.py", "layers.py", "tables.py", "errors.py"} <= names
    assert importlib.util.find_spec("uraniborg").origin in {str(path) for path in found}


def test_settings_digest_ignores_the_order_of_keys():
    one = provenance.settings_digest({"a": 1, "b": [1, 2]})
    assert one == provenance.settings_digest({"b": [1, 2], "a": 1})
    assert one != provenance.settings_digest({"a": 1, "b": [2, 1]})
