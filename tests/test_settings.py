"""Settings: defaults, messages and the manual made from a schema."""

import subprocess
import sys

import pytest
import yaml

from uraniborg.errors import UserError
from uraniborg.settings import documentation, read_yaml, validate

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "tier": {"enum": ["test", "default"], "default": "default"},
        "training": {"$ref": "#/$defs/training", "description": "How to train | fit."},
        "mirror": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/training"}},
        "named": {"type": "object", "additionalProperties": {"$ref": "#/$defs/training"}},
    },
    "$defs": {
        "training": {
            "type": "object",
            "additionalProperties": False,
            "default": {},
            "required": ["epochs"],
            "properties": {
                "epochs": {"type": "integer", "minimum": 1, "default": 10},
                "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.001},
                "clip": {"type": ["number", "null"], "default": None},
            },
        }
    },
}


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    return path


def test_an_empty_document_gets_every_default(schema):
    assert validate({}, schema, name="c.yaml") == {
        "tier": "default",
        "training": {"epochs": 10, "learning_rate": 0.001, "clip": None},
        "mirror": {},
    }


def test_defaults_reach_listed_and_freely_named_sections(schema):
    document = {"runs": [{"epochs": 2}], "named": {"a": {}}}
    filled = validate(document, schema, name="c.yaml")
    assert filled["runs"][0] == {"epochs": 2, "learning_rate": 0.001, "clip": None}
    assert filled["named"]["a"]["epochs"] == 10
    assert document == {"runs": [{"epochs": 2}], "named": {"a": {}}}


def test_defaults_of_two_documents_are_not_the_same_object(schema):
    first = validate({}, schema, name="c.yaml")
    first["training"]["epochs"] = 99
    assert validate({}, schema, name="c.yaml")["training"]["epochs"] == 10


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("epochs", "7", 7), ("learning_rate", "1e-3", 1e-3), ("clip", "null", None)],
)
def test_text_from_the_command_line_is_read_as_what_is_expected(schema, key, text, value):
    training = validate({"training": {key: text}}, schema, name="config")["training"]
    assert training[key] == value
    assert type(training[key]) is type(value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"training": {"epochs": -1}}, "training: epochs: -1 is less than the minimum of 1"),
        ({"training": {"epoch": 5}}, "training: unknown key 'epoch' (did you mean 'epochs'?)"),
        ({"zzz": 5}, "unknown key 'zzz' (known are tier, training, mirror, runs, named)"),
        ({"tier": "tst"}, "tier: 'tst' is not one of test, default (did you mean 'test'?)"),
        ({"training": []}, "training: [] is not a section with keys of its own"),
        ({"training": {"epochs": "ten"}}, "training: epochs: 'ten' is not a whole number"),
        ({"training": {"clip": "x"}}, "training: clip: 'x' is not a number or empty"),
        ({"runs": [{}, {"epochs": 0}]}, "runs: 1: epochs: 0 is less than the minimum of 1"),
        ({"mirror": {"https://a": 1}}, "mirror: https://a: 1 is not text"),
    ],
)
def test_a_message_names_file_key_and_remedy(schema, document, message):
    with pytest.raises(UserError) as error:
        validate(document, schema, name="config/config.yaml")
    assert str(error.value) == f"config/config.yaml: {message}; see config/README.md."


def test_a_long_value_is_not_dumped(schema):
    with pytest.raises(UserError) as error:
        validate({"training": {"epochs": list(range(1000))}}, schema, name="c.yaml")
    assert len(str(error.value)) < 200


def test_alternatives_are_named_together(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text("oneOf: [{required: [archive]}, {required: [files]}]")
    for document in ({}, {"archive": 1, "files": 2}):
        with pytest.raises(UserError, match="needs exactly one of 'archive', 'files'"):
            validate(document, path, name="c.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "line 1: is not YAML"),
        (b"a: 1\n b: 2", "line 2: is not YAML"),
        (b"- 1", "must hold `key: value` lines"),
        (b"", "must hold `key: value` lines"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
    ],
)
def test_what_is_not_settings_is_named(tmp_path, content, message):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_yaml(path)
    assert "broken.yaml" in str(error.value)
    assert message in str(error.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.yaml: there is no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_the_manual_lists_every_key_with_type_default_and_meaning():
    text = documentation(SCHEMA)
    assert "| `tier` | `test` or `default` | `default` |  |" in text
    assert "| `training` | section | see below | How to train \\| fit. |" in text
    assert "### `training`" in text
    assert "| `epochs` | integer, ≥ 1 | `10` |  |" in text
    assert "| `clip` | number or empty | `null` |  |" in text
    assert "### `named: <name>`" in text


def test_the_projects_schemas_are_schemas_and_documented(root):
    paths = sorted((root / "workflow/schemas").glob("*.schema.yaml"))
    assert paths
    for path in paths:
        text = documentation(path)
        for line in text.splitlines():
            if line.startswith("| `"):
                assert not line.endswith("|  |"), f"{path.name}: no description: {line}"


def test_nothing_heavy_is_imported_while_the_workflow_is_set_up():
    code = (
        "import sys, uraniborg.settings, uraniborg.surveys.registry;"
        "print([m for m in ('torch', 'astropy', 'pandas', 'pyarrow', 'h5py', 'requests')"
        " if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "[]", output.stderr
