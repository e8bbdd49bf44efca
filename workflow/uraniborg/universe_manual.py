"""The tables of docs/universe.md, made from what the code says about the simulated sky.

The page is written by hand around them: whatever stands between the comments `<!-- table: NAME -->`
and `<!-- end of table -->` is replaced by the table of that name.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from uraniborg.claims import evaluate
from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.instruments.bands import PHOTOMETERS, Band
from uraniborg.instruments.galactic_extinction import extinction_coefficients
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.spectrograph_curves import spectrograph_curves
from uraniborg.instruments.wavelengths import GRIDS
from uraniborg.settings import read_yaml
from uraniborg.universe import galaxy_population, quasar_population, star_population
from uraniborg.universe.contaminants import KINDS
from uraniborg.universe.histories import history
from uraniborg.universe.parameters import Parameter
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.relations import HYPERPARAMETERS, Hyperparameter

__all__ = ["TABLES", "update", "with_tables"]

_ROOT = Path(__file__).resolve().parents[2]
_BEGIN, _END = "<!-- table: ", "<!-- end of table -->"
# From a table's begin to its end, with no other begin within.
_MARKED = re.compile(rf"({_BEGIN}(\S+) -->\n)(?:(?!{_BEGIN}).)*?({_END})", re.DOTALL)
_NONE = "–"
# Wavelengths in Angstrom at which spectrographs are compared, and the width of the means there.
_COMPARED, _WIDTH = (4500, 6500, 8500), 100


def update(page: str | Path) -> None:
    """Writes the tables of a page anew.

    Raises:
        UserError: The page is missing, or asks for a table that there is not.
    """

    page = Path(page)
    if not page.is_file():
        raise UserError(f"{page}: there is no such page; restore it.")
    text = with_tables(page.read_text(encoding="utf-8"))
    with atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def with_tables(text: str) -> str:
    """A page with its tables as they should be.

    Raises:
        UserError: There is no table of a name, or a table has no end.
    """

    def replaced(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in TABLES:
            raise UserError(f"there is no table {name!r}; known are {', '.join(TABLES)}.")
        return f"{begin}\n{TABLES[name]()}\n{end}"

    text, count = _MARKED.subn(replaced, text)
    if count != text.count(_BEGIN):
        raise UserError(f"a table has no end; put {_END} below it.")
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    # A bar would begin a new column.
    return " ".join(text.split()).replace("|", r"\|").replace("+-", "±") or _NONE


def _code(name: str) -> str:
    return f"`{name}`"


def _parameters(parameters: Iterable[Parameter]) -> str:
    return _table(
        ["parameter", "unit", "meaning", "drawn from", "source"],
        ([_code(p.name), p.unit, p.description, p.prior, p.source] for p in parameters),
    )


def _histories() -> str:
    bases = [
        history(name, _ROOT / "resources/history_basis.parquet")
        for name in ("dirichlet", "delayed_tau_burst", "nmf")
    ]
    return _table(
        ["basis", "parameter", "unit", "meaning"],
        (
            [_code(basis.name), _code(column.name), column.unit, column.description]
            for basis in bases
            for column in basis.columns
        ),
    )


def _hyperparameters() -> str:
    path = _ROOT / "resources/galaxy_population.json"
    fitted: Mapping[str, float] = {}
    if path.is_file():
        fitted = json.loads(path.read_text(encoding="utf-8"))["hyperparameters"]
    return _table(
        ["hyperparameter", "unit", "meaning", "published", "allowed", "fitted", "source"],
        (
            [
                _code(h.name),
                h.unit,
                h.description,
                h.published,
                f"{h.low:g} to {h.high:g}",
                _fitted(h, fitted.get(h.name)),
                h.source,
            ]
            for h in HYPERPARAMETERS
        ),
    )


def _fitted(h: Hyperparameter, value: float | None) -> str:
    """The fitted value, and whether the fit ran into a limit."""

    if value is None:
        return _NONE
    at_limit = min(value - h.low, h.high - value) < 0.01 * (h.high - h.low)
    return f"{value:.3g}{' (limit)' if at_limit else ''}"


def _spectrographs() -> str:
    rows = []
    for name, grid in GRIDS.items():
        instrument = spectrograph(name)
        curves = spectrograph_curves(instrument)
        near = [np.abs(curves["wavelength"] - centre) < _WIDTH / 2 for centre in _COMPARED]
        resolution = [f"{curves['resolution'][rows].median():.0f}" for rows in near]
        sigma = [f"{curves['sigma'][rows].median():.2f}" for rows in near]
        unit = "dex" if grid.kind == "log10" else "Angstrom"
        rows.append(
            [
                _code(name),
                f"{grid.size} of {grid.step:g} {unit}",
                f"{grid.wavelength[0]:.0f} to {grid.wavelength[-1]:.0f}",
                instrument.fibre_diameter,
                ", ".join(resolution),
                ", ".join(sigma),
                ", ".join(f"{100 * error:g}" for error in instrument.calibration),
                f"{100 * instrument.noise.floor:.1f}",
            ]
        )
    at = ", ".join(map(str, _COMPARED))
    head = [
        "spectrograph",
        "pixels",
        "range [Angstrom]",
        "fibre [arcsec]",
        f"resolving power at {at} Angstrom",
        "noise of an empty fibre per Angstrom there [1e-17 erg/s/cm2/Angstrom]",
        "calibration error by Legendre order [%]",
        "error floor of the pipeline [% of the flux]",
    ]
    return _table(head, rows)


def _photometers() -> str:
    head = [
        "band",
        "filter (astro-sedpy)",
        "pivot [Angstrom]",
        "depth, 5 sigma [AB mag]",
        "AB - survey [mag]",
        "asinh softening",
        "A / E(B-V)",
        "FWHM [arcsec]",
        "noise",
        "listed",
        "share of sky",
    ]
    bands = [band for bands in PHOTOMETERS.values() for band in bands]
    extinction = extinction_coefficients([band.filter for band in bands])
    return _table(
        head,
        (
            [
                _code(band.name),
                _code(band.filter),
                f"{_pivot(band):.0f}",
                f"{band.depth:.2f}",
                band.offset,
                f"{band.softening:g}" if band.softening else _NONE,
                f"{coefficient:.2f}",
                band.psf,
                f"measured ({band.noise})" if band.noise else "from depth",
                "all observed" if band.forced else f"from {band.limit:g} sigma",
                band.coverage,
            ]
            for band, coefficient in zip(bands, extinction, strict=True)
        ),
    )


def _pivot(band: Band) -> float:
    """Pivot wavelength in Angstrom: the mean that turns f_lambda into f_nu."""

    wavelength, transmission = read_filter(band.filter)
    photons = np.trapezoid(transmission * wavelength, wavelength)
    return float(np.sqrt(photons / np.trapezoid(transmission / wavelength, wavelength)))


def _contaminants() -> str:
    return _table(
        ["kind", "what it is", "strength", "unit", "distribution", "source"],
        (
            [_code(k.name), k.description, k.strength, k.unit, k.distribution, k.source]
            for k in KINDS
        ),
    )


def _claims() -> str:
    claims = read_yaml(_ROOT / "config/config.yaml")["universe"]["claims"]
    rows = []
    for name, declared in claims.items():
        claim = evaluate(declared, analysis="universe", claim=name, tier="default")
        rows.append([claim[key] for key in ("statement", "paper", "data", "criterion", "unit")])
    return _table(["claim", "held against", "data", "criterion", "unit"], rows)


def _surveys() -> str:
    rows = []
    for path in sorted((_ROOT / "config/surveys").glob("*.yaml")):
        survey = read_yaml(path)
        source = next(key for key in ("simulate", "archive", "files") if key in survey)
        objects = survey["simulate"]["objects"] if source == "simulate" else _NONE
        kind = survey.get("kind", "spectra")
        cells = [_code(path.stem), kind, _code(survey["instrument"]), source, objects]
        rows.append([*cells, survey["description"]])
    return _table(["survey", "kind", "instrument", "source", "objects", "what it is"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "galaxies": lambda: _parameters(galaxy_population.PARAMETERS),
    "histories": _histories,
    "hyperparameters": _hyperparameters,
    "stars": lambda: _parameters(star_population.PARAMETERS),
    "quasars": lambda: _parameters(quasar_population.PARAMETERS),
    "contaminants": _contaminants,
    "spectrographs": _spectrographs,
    "photometers": _photometers,
    "surveys": _surveys,
    "claims": _claims,
}
"""What makes each table, in Markdown."""
