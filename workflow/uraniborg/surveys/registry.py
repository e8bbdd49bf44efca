"""The survey registry: one YAML file per survey becomes one `Survey`.

This module runs while the workflow is set up, so it imports nothing heavy and touches no data.
"""

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.wavelengths import logarithmic, observed_grid
from uraniborg.settings import read_yaml, validate

__all__ = ["BAND_CUTS", "Archive", "Survey", "load_archives", "load_surveys"]

BAND_CUTS = ("band_snr_min", "colour_min", "colour_max", "magnitude_max")
"""Keys of the section `selection` that are mappings by band, or by colour `BAND-BAND`."""

_REDSHIFT_CUTS = ("z_min", "z_max", "z_err_max", "z_err_relative_max")
_SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


@dataclass(frozen=True)
class Survey:
    """A survey as its YAML file describes it.

    Args:
        name: Its name, which is the file's.
        description: What it is.
        kind: What its objects are measured as.
        instrument: Name of a spectrograph, or of photometers.
        shards: Number of files its data are stored in.
        source: Where the data come from.
        objects: Number of simulated objects, 0 for real data.
        seed: Seed of the simulation.
        errors: Which inverse variances the simulation gives, see
            `uraniborg.instruments.spectrograph`.
        universe: Settings of the simulated population.
        archives: Names of downloads.
        patterns: Patterns of the user's files.
        reader: Format of real data, empty for simulated.
        catalogue: What the columns of a catalogue mean, see
            `uraniborg.surveys.readers.catalogue.Layout`.
        resample: Whether spectra on other pixels than the instrument's are resampled to them.
        log10_step: Step in dex of a log10 grid that all spectra are resampled to, None to leave
            them on the instrument's.
        normalisation: How spectra are scaled, see `uraniborg.surveys.preparation`.
        missing_redshift: Whether spectra without a redshift are left out, or kept for models to
            estimate one.
        selection: Cuts, see `uraniborg.surveys.selection`.
        population: What the survey contains, for inference of its population: bands, ranges and
            magnitude limits.
        citation: What to cite.
        licence: Terms of use.
    """

    name: str
    description: str
    kind: Literal["spectra", "photometry"]
    instrument: str
    source: Literal["simulate", "archive", "files"]
    shards: int = 1
    objects: int = 0
    seed: int = 0
    errors: Literal["calibrated", "reported"] = "calibrated"
    universe: Mapping[str, Any] = field(default_factory=dict)
    archives: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    reader: str = ""
    catalogue: Mapping[str, Any] = field(default_factory=dict)
    resample: bool = False
    log10_step: float | None = None
    normalisation: Literal["restframe", "none"] = "restframe"
    missing_redshift: Literal["quarantine", "estimate"] = "quarantine"
    selection: Mapping[str, Any] = field(default_factory=dict)
    population: Mapping[str, Any] = field(default_factory=dict)
    citation: str = ""
    licence: str = ""

    @property
    def data(self) -> Literal["simulated", "real"]:
        """What tables and claims made from the survey are marked as."""

        return "simulated" if self.source == "simulate" else "real"

    @property
    def grid(self) -> WavelengthGrid:
        """Observed wavelengths of the survey's spectra."""

        native = observed_grid(self.instrument)
        return logarithmic(native, self.log10_step) if self.log10_step else native

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the data, as plain values from which a job makes the survey again.

        What does not decide them is empty, so that a better description does not make anything run
        again.
        """

        return asdict(replace(self, description="", citation="", licence="", population={}))


@dataclass(frozen=True)
class Archive:
    """A file that can be downloaded, one row of `resources/archives.tsv`.

    Args:
        name: File name under which it is stored.
        url: Where it is published.
        sha256: Its checksum.
        bytes: Its size.
        licence: Terms of use.
        citation: What to cite.
    """

    name: str
    url: str
    sha256: str
    bytes: int
    licence: str
    citation: str


def load_archives(path: str | Path) -> dict[str, Archive]:
    """Reads the table of downloads, by name.

    Raises:
        UserError: A row does not fit the schema, or two have the same name.
    """

    archives: dict[str, Archive] = {}
    with Path(path).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            label = f"{path}: {row.get('name')}"
            size = row.get("bytes") or ""
            row = {**row, "bytes": int(size) if size.isdigit() else size}
            row = validate(row, _SCHEMAS / "archives.schema.yaml", name=label)
            archive = Archive(**row)
            if archives.setdefault(archive.name, archive) is not archive:
                raise UserError(f"{label}: is listed twice; remove one row.")
    return archives


def load_surveys(
    folder: str | Path, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Survey]:
    """Reads every survey of a folder.

    Args:
        folder: A folder of YAML files, one per survey.
        changes: By name of a survey, keys that replace those of its file.

    Raises:
        UserError: A file does not fit the schema, or a change names no survey.

    Example:
        >>> load_surveys("config/surveys", {"sdss": {"shards": 8}})["sdss"].shards
        8
    """

    folder, changes = Path(folder), changes or {}
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not paths:
        raise UserError(f"{folder}: holds no survey; `surveys_folder` must name a folder of YAML.")
    for name in changes:
        if name not in paths:
            close = difflib.get_close_matches(name, paths)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(
                f"surveys: there is no survey {name!r}; {hint}Known are {', '.join(paths)}."
            )
    return {name: _load(name, path, changes.get(name, {})) for name, path in paths.items()}


def _load(name: str, path: Path, changes: Mapping[str, Any]) -> Survey:
    if not re.fullmatch("[a-z0-9_]+", name):
        raise UserError(
            f"{path}: names the survey {name!r}; rename the file with small letters, digits and _."
        )
    label = f"{path} (changed by the configuration's `surveys: {name}`)" if changes else str(path)
    keys = validate(_merge(read_yaml(path), changes), _SCHEMAS / "survey.schema.yaml", name=label)
    source = next(source for source in ("simulate", "archive", "files") if source in keys)
    section = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in keys.pop(source).items()
    }
    try:
        if keys["kind"] == "spectra":
            observed_grid(keys["instrument"])
        else:
            known = {band.name for band in bands_of(keys["instrument"])}
            named = {*keys.get("catalogue", {}).get("bands", {})}
            named.update(keys.get("population", {}).get("bands", []))
            for cut in BAND_CUTS:
                named.update(*(name.split("-") for name in keys["selection"].get(cut, {})))
            if named - known:
                raise UserError(
                    f"{', '.join(sorted(named - known))} is none of its bands, which are "
                    f"{', '.join(sorted(known))}."
                )
    except UserError as error:
        raise UserError(f"{label}: instrument: {error}") from error
    if section.get("reader") and (section["reader"] == "catalogue") != (
        keys["kind"] == "photometry"
    ):
        raise UserError(
            f"{label}: reader: {section['reader']!r} does not read {keys['kind']}; surveys of "
            "photometry, and only these, have the reader 'catalogue'."
        )
    universe = section.get("universe", {})
    if universe and universe["z_min"] >= universe["z_max"]:
        raise UserError(f"{label}: universe: z_min is not below z_max; exchange them.")
    selection = keys["selection"]
    if selection.get("z_min", -1) > selection.get("z_max", float("inf")):
        raise UserError(f"{label}: selection: z_min is larger than z_max; exchange them.")
    _check_cuts(label, keys["kind"], source, selection)
    population = keys.get("population", {})
    if population and keys["kind"] == "spectra":
        raise UserError(f"{label}: population: needs a survey of photometry; remove the section.")
    if population and population["reference"] not in population["bands"]:
        raise UserError(f"{label}: population: reference is none of its bands; add it.")
    if population and population["z_min"] >= population["z_max"]:
        raise UserError(f"{label}: population: z_min is not below z_max; exchange them.")
    if keys.get("catalogue", {}).get("join") and keys["shards"] > 1:
        raise UserError(
            f"{label}: shards: tables that are joined have to be in the same one; set it to 1."
        )
    return Survey(name=name, source=source, **section, **keys)


def _check_cuts(label: str, kind: str, source: str, selection: Mapping[str, Any]) -> None:
    """Raises an error where a cut would not be made."""

    cuts = {key for key, value in selection.items() if value != []}
    of_bands = set(BAND_CUTS)
    wrong = cuts & of_bands if kind == "spectra" else cuts - of_bands - set(_REDSHIFT_CUTS)
    if wrong:
        raise UserError(
            f"{label}: selection: {', '.join(sorted(wrong))}: is no cut of {kind}; remove it."
        )
    if kind == "photometry" and source == "simulate" and cuts:
        raise UserError(
            f"{label}: selection: a simulated survey of photometry has none; use `limits` of its "
            "`universe`."
        )


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
