"""Documentation that is generated is up to date, and what it shows is there."""

import re

from uraniborg.settings import manual


def test_configuration_manual_is_that_of_the_schemas(root):
    written = (root / "config/README.md").read_text()
    assert written == manual(root / "workflow/schemas"), "run `make docs`"


def test_readme_names_files_that_exist(root):
    readme = (root / "README.md").read_text()
    paths = re.findall(r"`((?:config|workflow|profiles|resources|tests)/[\w./-]+)`", readme)
    missing = [path for path in paths if not (root / path).exists()]
    assert paths
    assert missing == []


def test_every_schema_key_is_described(root):
    import yaml

    def undescribed(schema, path=""):
        for key, rule in schema.get("properties", {}).items():
            if "description" not in rule and "$ref" not in rule:
                yield f"{path}{key}"
            yield from undescribed(rule, f"{path}{key}.")
        for key, rule in schema.get("$defs", {}).items():
            yield from undescribed(rule, f"{path}{key}.")

    for path in (root / "workflow/schemas").glob("*.yaml"):
        assert list(undescribed(yaml.safe_load(path.read_text()))) == [], path.name
