"""Settings: YAML files checked against JSON schemas, with defaults, short messages and a manual.

This module runs while the workflow is set up, so it imports nothing heavy.
"""

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from uraniborg.errors import UserError

__all__ = ["documentation", "manual", "read_yaml", "validate"]

MANUAL = "config/README.md"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a YAML file whose top level is a mapping.

    Args:
        path: The file.

    Raises:
        UserError: The file is absent, is not YAML or holds something else.
    """

    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not text in UTF-8; save it as such.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{path}{line}: is not YAML: {problem}; mend that line.") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: must hold `key: value` lines; see {MANUAL}.")
    return document


def validate(document: Mapping[str, Any], schema: str | Path, *, name: str) -> dict[str, Any]:
    """Fills the defaults of a schema into a document and checks the result.

    Defaults of a section's keys are filled where the section is given or has itself a default.

    Args:
        document: Settings as read from YAML.
        schema: Path of the JSON schema, itself YAML.
        name: What the message calls the document: its file.

    Returns:
        A new document, complete.

    Raises:
        UserError: The document does not fit; the message names file, key and what is expected.

    Example:
        >>> config = validate(config, "config.schema.yaml", name="config/config.yaml")
    """

    rules = read_yaml(schema)
    filled = _fill(copy.deepcopy(dict(document)), rules, rules)
    # An unknown key is most often a misspelt one, which also explains a missing one: it goes first.
    errors = list(Draft202012Validator(rules).iter_errors(filled))
    unknown = [error for error in errors if error.validator == "additionalProperties"]
    error = best_match(unknown or errors)
    if error is not None:
        # Alternatives are named together, not just the one that fits best.
        error = error.parent if error.parent and error.parent.validator == "oneOf" else error
        keys = "".join(f"{key}: " for key in error.absolute_path)
        raise UserError(f"{name}: {keys}{_explain(error)}; see {MANUAL}.")
    return filled


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a local reference such as `#/$defs/limits` stands for."""

    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    # Keys beside the reference, such as a description of their own, come first.
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**_resolve(target, root), **beside}


def _fill(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:  # noqa: ANN401
    schema = _resolve(schema, root)
    if isinstance(value, str):
        return _from_text(value, schema.get("type", "string"))
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, rule in known.items():
            rule = _resolve(rule, root) if isinstance(rule, Mapping) else {}
            if key not in value and "default" in rule:
                value[key] = copy.deepcopy(rule["default"])
        others = schema.get("additionalProperties")
        for key in value:
            rule = known.get(key, others)
            if isinstance(rule, Mapping):
                value[key] = _fill(value[key], rule, root)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        value = [_fill(entry, schema["items"], root) for entry in value]
    return value


def _from_text(value: str, expected: str | list[str]) -> Any:  # noqa: ANN401
    """The value that a text stands for where no text is expected.

    Snakemake's command line gives the values within braces as text, and so does YAML with `1e-3`.
    """

    if value == "null" and "null" in expected:
        return None
    if "string" in expected:
        return value
    if value in ("null", "true", "false"):
        return yaml.safe_load(value)
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "empty",
    "number": "a number",
    "object": "a section with keys of its own",
    "string": "text",
}


def _explain(error: ValidationError) -> str:
    explain = _EXPLANATIONS.get(error.validator)
    return explain(error) if explain else error.message


def _unknown(error: ValidationError) -> str:
    known = list(error.schema.get("properties", {}))
    key = next(key for key in error.instance if key not in known)
    close = difflib.get_close_matches(str(key), known)
    if close:
        return f"unknown key {key!r} (did you mean {' or '.join(map(repr, close))}?)"
    return f"unknown key {key!r} (known are {', '.join(known)})"


def _missing(error: ValidationError) -> str:
    missing = [repr(key) for key in error.validator_value if key not in error.instance]
    return f"lacks {' and '.join(missing)}"


def _wrong_type(error: ValidationError) -> str:
    expected = error.validator_value
    names = [expected] if isinstance(expected, str) else expected
    message = f"{_short(error.instance)} is not {' or '.join(_TYPES[name] for name in names)}"
    return message


def _wrong_choice(error: ValidationError) -> str:
    choices = [str(choice) for choice in error.validator_value]
    close = difflib.get_close_matches(str(error.instance), choices, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{_short(error.instance)} is not one of {', '.join(choices)}{hint}"


def _alternatives(error: ValidationError) -> str:
    choices = ["' and '".join(choice.get("required", ())) for choice in error.validator_value]
    return f"needs exactly one of {', '.join(map(repr, choices))}"


def _short(value: Any) -> str:  # noqa: ANN401
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_EXPLANATIONS: dict[str, Callable[[ValidationError], str]] = {
    "additionalProperties": _unknown,
    "const": lambda error: f"{_short(error.instance)} must be {error.validator_value!r}",
    "enum": _wrong_choice,
    "minItems": lambda error: f"needs at least {error.validator_value} entries",
    "maxItems": lambda error: f"takes at most {error.validator_value} entries",
    "minLength": lambda error: "must not be empty",
    "oneOf": _alternatives,
    "pattern": lambda error: f"{_short(error.instance)} has not the form {error.validator_value}",
    "required": _missing,
    "type": _wrong_type,
}


def documentation(schema: Mapping[str, Any] | str | Path) -> str:
    """Tables in Markdown of what a schema allows: key, type, default and meaning.

    Every section has a table of its own under a heading of its path.

    Args:
        schema: A JSON schema, or the path of one.
    """

    schema = schema if isinstance(schema, Mapping) else read_yaml(schema)
    return "\n".join(_sections(schema, schema, [])).rstrip() + "\n"


def manual(schemas: str | Path) -> str:
    """The text of `config/README.md`, from the schemas of configuration and surveys.

    Args:
        schemas: Their folder.
    """

    introduction = """\
<!-- Written by `make docs` from workflow/schemas; edit the schemas. -->

# Configuration

`config/config.yaml` is the default: simulated surveys, a laptop, offline. Files given to
`snakemake --configfile` are laid over it in order: `test.yaml` (every rule with little data),
`real.yaml` (real spectra), `sky.yaml` (real sky fibres), `paper.yaml` (the papers' scale), or your
own, which holds only what differs. Single keys: `--config gpus=1 'spender={train_on: my_survey}'`.
Targets go before these options, which take all words that follow them.

All configurations write to the same `results/`; for two side by side, use a second clone.
A key that does not exist, or a value that does not fit, is an error that names it.

A survey of your own is a file such as `config/surveys/my_survey.yaml`:

```yaml
description: Spectra that I took.
instrument: sdss
files:
  patterns: ["my_spectra/**/*.fits*"]   # below data_root
  reader: sdss
selection:
  spectype: [GALAXY]
  z_min: 0
  z_max: 0.5
citation: Brahe 1598
```

`snakemake --cores 2 --config data_root=PATH 'spender={apply_to: [my_survey]}'` reconstructs it.
"""
    parts = [introduction]
    for title, name in (("Keys", "config"), ("Surveys", "survey")):
        parts.append(f"## {title}\n\n{documentation(Path(schemas, f'{name}.schema.yaml'))}")
    return "\n".join(parts)


def _sections(schema: Mapping[str, Any], root: Mapping[str, Any], path: list[str]) -> Iterator[str]:
    sections = []
    if path:
        yield f"### `{': '.join(path)}`\n"
    if schema.get("description"):
        yield f"{_line(schema['description'])}\n"
    rows = []
    for key, rule in schema.get("properties", {}).items():
        rule = _resolve(rule, root)
        sections.extend(([*path, key, *names], section) for names, section in _inside(rule, root))
        required = "required" if key in schema.get("required", ()) else ""
        default = f"`{_yaml(rule['default'])}`" if "default" in rule else required
        default = "see below" if "default" in rule and rule.get("properties") else default
        meaning = _line(rule.get("description", ""))
        rows.append(f"| `{key}` | {_type(rule, root)} | {default} | {meaning} |")
    if rows:
        yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
        yield "\n".join(rows) + "\n"
    for names, section in sections:
        yield from _sections(section, root, names)


def _inside(
    rule: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """The keys within a key: its own, or those of each of its freely named or listed entries."""

    if rule.get("properties"):
        yield [], rule
    for key, names in (("additionalProperties", ["<name>"]), ("items", [])):
        if isinstance(rule.get(key), Mapping):
            entry = _resolve(rule[key], root)
            if entry.get("properties"):
                yield names, entry


def _type(rule: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " or ".join(f"`{choice}`" for choice in rule["enum"])
    if "const" in rule:
        return f"`{rule['const']}`"
    names = rule.get("type", "any")
    names = [names] if isinstance(names, str) else names
    words = {"array": "list", "object": "section", "null": "empty"}
    text = " or ".join(words.get(name, name) for name in names)
    if "array" in names and isinstance(rule.get("items"), Mapping):
        text = f"list of {_type(_resolve(rule['items'], root), root)}"
    return text + _limits(rule)


def _limits(rule: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {rule[key]}" for key, sign in signs.items() if key in rule]
    return f", {', '.join(limits)}" if limits else ""


def _yaml(value: Any) -> str:  # noqa: ANN401
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
