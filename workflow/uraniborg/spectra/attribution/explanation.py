"""Explains the outliers of a catalogue: which pixels, and which features, make them strange."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.progress import Progress
from uraniborg.spectra.attribution.alternatives import METHODS, NEED_GRADIENT
from uraniborg.spectra.attribution.baselines import ordinary_spectra
from uraniborg.spectra.attribution.evaluation import (
    evaluated,
    mass_inside,
    outlier_percentile,
)
from uraniborg.spectra.attribution.features import (
    BROAD_LINES,
    FEATURE_COLUMNS,
    bright_sky,
    features,
)
from uraniborg.spectra.attribution.maps import MAP_COLUMNS, SPECTRA_COLUMNS, map_tables
from uraniborg.spectra.attribution.names import EXTENDED_KINDS, LOCAL_KINDS
from uraniborg.spectra.attribution.scores import LatentScore, Score, WholeScore
from uraniborg.spectra.attribution.truth import Anomalies
from uraniborg.spectra.dataset import Batch, SpectraDataset, in_range, masked
from uraniborg.spectra.outliers.scorer import OutlierScorer, log_snr
from uraniborg.surveys.contamination import ARMS
from uraniborg.tables import Spectra, read_metadata, read_table, write_table
from uraniborg.universe.contaminants import NONE

__all__ = [
    "SCORES",
    "Explainer",
    "Explanations",
    "Measurements",
    "Outlier",
    "methods_of",
    "write_explanations",
]

SCORES = {"log_prob": LatentScore, "outlier_score": WholeScore}
"""What of a catalogue can be explained: minus log p of the latents, and the whole score."""

_C = 299792.458
_IMPOSSIBLE = {"log_prob": {"contributions"}, "outlier_score": NEED_GRADIENT}
# Of a score without a gradient each kind of occlusion takes seconds per object.
_SLOW = {"log_prob": set(), "outlier_score": {"consensus", "occlusion"}}
_TABLES = (SPECTRA_COLUMNS, MAP_COLUMNS, FEATURE_COLUMNS)


def methods_of(score: str) -> tuple[str, ...]:
    """Names of the methods that a score is attributed by, in order."""

    without = _IMPOSSIBLE[score] | _SLOW[score]
    return tuple(name for name in METHODS if name not in without)


class Outlier(NamedTuple):
    """One object to explain.

    Attributes:
        object_id: Identifier.
        spectrum: Alone in its batch, finite, at the redshift it was scored with.
        score: What is attributed.
        baselines: Ordinary spectra in its place, shape (K, L).
        z: Redshift that its lines are looked for at: that of the survey, if it has one.
        norm: Flux density of one unit.
    """

    object_id: str
    spectrum: Batch
    score: Score
    baselines: Tensor
    z: float
    norm: float


class Explanations(NamedTuple):
    """What is said of objects.

    Attributes:
        spectra: `uraniborg.spectra.attribution.maps.SPECTRA_COLUMNS`.
        maps: `uraniborg.spectra.attribution.maps.MAP_COLUMNS`.
        features: `uraniborg.spectra.attribution.features.FEATURE_COLUMNS` by the first method.
    """

    spectra: pd.DataFrame
    maps: pd.DataFrame
    features: pd.DataFrame


class Measurements(NamedTuple):
    """What is measured of simulated objects.

    Attributes:
        measured: `uraniborg.spectra.attribution.evaluation.MEASURED_COLUMNS`.
        curves: `uraniborg.spectra.attribution.evaluation.OBJECT_CURVE_COLUMNS`.
        examples: The strangest object of each of some kinds whose anomaly has a place.
    """

    measured: pd.DataFrame
    curves: pd.DataFrame
    examples: Explanations


@dataclass(frozen=True)
class Explainer:
    """Explains objects of a survey that has been searched.

    Args:
        scorer: That the catalogue was made with.
        spectra: The survey.
        catalogue: Its catalogue, in the survey's order.
        score: What is explained, one of `SCORES`.
        methods: Names of the methods, by default the first of `methods_of` the score; features are
            those of the first.
        number: Ordinary spectra that each object is compared with.
        seed: Of their choice.
        joins: Observed wavelengths in Angstrom where the arms of the spectrograph meet.
        sky: Pixels in bright lines of the night sky, shape (L,).

    Raises:
        UserError: A name is unknown, or the catalogue is of other objects.
    """

    scorer: OutlierScorer
    spectra: Spectra
    catalogue: pd.DataFrame
    score: Literal["log_prob", "outlier_score"] = "outlier_score"
    methods: Sequence[str] = ()
    number: int = 8
    seed: int = 0
    joins: Sequence[float] = ()
    sky: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise UserError(f"score {self.score!r} is unknown; name one of {', '.join(SCORES)}.")
        known = [name for name in METHODS if name not in _IMPOSSIBLE[self.score]]
        for name in self.methods:
            if name not in known:
                raise UserError(
                    f"{self.score} has no method {name!r}; name some of {', '.join(known)}."
                )
        if not self.methods:
            object.__setattr__(self, "methods", methods_of(self.score)[:1])
        if not np.array_equal(self.catalogue["object_id"], self.spectra.column("object_id")):
            raise UserError(
                f"{self.spectra.paths[0]}: the catalogue is of other objects; give all shards of "
                "its survey, in order."
            )

    @classmethod
    def load(
        cls,
        weights: str | Path,
        card: str | Path,
        catalogue: str | Path,
        spectra: Sequence[str | Path],
        *,
        instrument: str,
        **settings: Any,  # noqa: ANN401 (as the class takes them)
    ) -> Self:
        """Reads what is needed from files, with the scorer as it made the catalogue.

        Args:
            weights: Of the scorer.
            card: Of the scorer.
            catalogue: The Parquet file.
            spectra: The survey's shards, in order.
            instrument: Its spectrograph.
            settings: Further arguments of the class.

        Raises:
            UserError: A file is damaged, or they do not belong together.
        """

        floor = float(read_metadata(catalogue)["misfit_floor"])
        scorer = OutlierScorer.load(weights, card, floor)
        survey = Spectra(spectra)
        scorer.model.check_grid(survey)
        sky = _bright_sky(instrument, survey.grid)
        table = read_table(catalogue)
        return cls(scorer, survey, table, joins=ARMS[instrument], sky=sky, **settings)

    @cached_property
    def values(self) -> np.ndarray:
        """What is explained, larger for what is stranger, of all objects, shape (N,)."""

        sign = -1 if self.score == "log_prob" else 1
        return sign * self.catalogue[self.score].to_numpy(np.float64)

    @cached_property
    def explainable(self) -> np.ndarray:
        """Which objects have a score and a redshift that the model covers, shape (N,), bool."""

        transform = self.scorer.model.transform
        z = torch.from_numpy(self.catalogue["z"].to_numpy(np.float64, copy=True))
        return np.isfinite(self.values) & in_range(z, (transform.z_min, transform.z_max)).numpy()

    def first(self, number: int) -> np.ndarray:
        """Rows of the first objects of the catalogue that can be explained, by rank."""

        rows = np.argsort(self.catalogue["outlier_rank"].to_numpy())
        return rows[self.explainable[rows]][:number]

    def examples(self, number: int) -> tuple[np.ndarray, list[str]]:
        """The strangest object of each of some classes: rows and titles.

        Quasars come first, then galaxies with an active nucleus, which are known to be strange.

        Args:
            number: Objects at most.
        """

        known = self.spectra.scalars[["spectype", "subclass", "z"]]
        # Subclasses such as `AGN BROADLINE` and `STARFORMING`; those of quasars tell little.
        galaxy = known["spectype"] == "GALAXY"
        group = known["spectype"].where(~galaxy, known["spectype"] + " " + known["subclass"])
        order = np.argsort(-np.nan_to_num(self.values, nan=-np.inf), kind="stable")
        order = [row for row in order if self.explainable[row]]
        first = {group[row]: row for row in reversed(order) if known["spectype"][row] != "STAR"}
        names = sorted(first, key=lambda name: (name != "QSO", "AGN" not in name, name))[:number]
        rows = np.array([first[name] for name in names])
        titles = [f"{name.strip()}, z = {known['z'][first[name]]:.3f}" for name in names]
        return rows, titles

    def at_survey_redshifts(self) -> Self:
        """The same with the survey's own redshifts, and the scores that objects have there."""

        z = self.spectra.column("z").astype(np.float64)
        return replace(self, catalogue=self._scored_at(z))

    def broad_lines(self, velocity: float = 5000.0) -> dict[str, dict[str, float]]:
        """How much more of the positive attribution than of the pixels is near lines that active
        nuclei have broad, mean over quasars and galaxies that the survey calls broad-lined.

        Args:
            velocity: What is near, to either side, in km/s.

        Returns:
            `broad_line_excess_{method}` for every method; none without such objects.
        """

        known = self.spectra.scalars
        broad = (known["spectype"] == "QSO") | known["subclass"].str.contains("BROADLINE")
        rows, wavelength = np.flatnonzero(broad & self.explainable), self.spectra.grid.wavelength
        excess: dict[str, list[float]] = {name: [] for name in self.methods}
        for outlier in self.outliers(rows):
            lines = np.array([line.wavelength for line in BROAD_LINES]) * (1 + outlier.z)
            near = (np.abs(wavelength / lines[:, None] - 1) < velocity / _C).any(axis=0)
            good = outlier.spectrum.ivar[0].numpy() > 0
            for name, attribution in self.attributions(outlier).items():
                share = mass_inside(attribution, near, good) / near[good].mean()
                excess[name].append(share)
        return {
            f"broad_line_excess_{name}": {
                "value": float(np.mean(values)),
                "uncertainty": float(np.std(values, ddof=1) / np.sqrt(len(values))),
                "n": len(values),
                "data": self.spectra.metadata["data"],
            }
            for name, values in excess.items()
            if len(values) > 1
        }

    def _scored_at(self, z: np.ndarray) -> pd.DataFrame:
        """The catalogue with other redshifts."""

        dataset = SpectraDataset(self.spectra, z=np.zeros(len(z)))
        batch = masked(dataset.batch(np.arange(len(z))))._replace(z=torch.from_numpy(z.copy()))
        scores = self.scorer.score(batch, log_snr(self.catalogue["snr"].to_numpy()))
        return self.catalogue.assign(
            z=z, log_prob=scores.log_prob.numpy(), outlier_score=scores.outlier_score.numpy()
        )

    def outliers(self, rows: Iterable[int]) -> Iterator[Outlier]:
        """Objects, one at a time."""

        dataset = SpectraDataset(self.spectra, z=self.catalogue["z"].to_numpy(np.float64))
        of_survey = self.spectra.column("z")
        for row in rows:
            one = self.catalogue.iloc[row]
            spectrum = masked(dataset.batch(np.array([row])))
            z = of_survey[row] if np.isfinite(of_survey[row]) else one["z"]
            yield Outlier(
                one["object_id"],
                spectrum,
                SCORES[self.score](self.scorer, one["snr"]),
                ordinary_spectra(self.scorer, spectrum, one["object_id"], self.number, self.seed),
                float(z),
                float(dataset.norm[row]),
            )

    def attributions(self, outlier: Outlier) -> dict[str, np.ndarray]:
        """Attributions by method, each of shape (L,)."""

        given = outlier.score, outlier.spectrum, outlier.baselines
        return {name: METHODS[name](*given).numpy() for name in self.methods}

    def explain(self, rows: np.ndarray, titles: Sequence[str]) -> Explanations:
        """Attributions to pixels and features of objects, whose truth need not be known.

        Args:
            rows: Of the catalogue.
            titles: What figures call them.
        """

        tables = []
        with Progress(len(rows), "explaining") as progress:
            for outlier, title in zip(self.outliers(rows), titles, strict=True):
                tables.append(self._explained(outlier, self.attributions(outlier), title))
                progress.advance(1)
        return _together(tables)

    def measure(
        self,
        truth: Spectra,
        *,
        local: int = 40,
        extended: int = 20,
        whole: int = 5,
        examples: int = 3,
    ) -> Measurements:
        """How well every method points at what is anomalous.

        Args:
            truth: Of the survey, with the same objects in the same order.
            local: Objects of each kind that changes a part of the spectrum, at most.
            extended: The same of kinds that change a large part.
            whole: The same of kinds that change all of it.
            examples: Kinds of which there is an example.

        Raises:
            UserError: Nothing there is anomalous.
        """

        kind = np.where(self.explainable, truth.column("anomaly"), "")
        numbers = dict.fromkeys(LOCAL_KINDS, local) | dict.fromkeys(EXTENDED_KINDS, extended)
        rows = [
            np.flatnonzero(kind == name)[: numbers.get(name, whole)]
            for name in sorted({*kind} - {NONE, ""})
        ]
        if not rows:
            raise UserError(
                f"{truth.paths[0]}: there is no anomaly that could be explained; enlarge the "
                "survey or raise the rates of its contaminants."
            )
        strangest = [max(group, key=self.values.__getitem__) for group in rows]
        placed = [row for row in strangest if kind[row] in (*LOCAL_KINDS, *EXTENDED_KINDS)]
        shown = sorted(placed, key=self.values.__getitem__)[-examples:]
        rows = np.concatenate(rows)
        anomalies = Anomalies.of(self.spectra, truth, rows)
        percentile = outlier_percentile(self.values[rows], self.values[kind == NONE])
        results, explained = [], []
        with Progress(len(rows), "attributing") as progress:
            for i, outlier in enumerate(self.outliers(rows)):
                attributions = self.attributions(outlier)
                results.append(
                    evaluated(
                        outlier.score,
                        outlier.spectrum,
                        self._others(outlier),
                        attributions,
                        anomalies,
                        i,
                        percentile[i],
                    )
                )
                if rows[i] in shown:
                    title, window = anomalies.kind[i].replace("_", " "), anomalies.window[i]
                    explained.append(self._explained(outlier, attributions, title, window))
                progress.advance(1)
        measured, curves = map(pd.concat, zip(*results, strict=True))
        return Measurements(
            measured.reset_index(drop=True), curves.reset_index(drop=True), _together(explained)
        )

    def _others(self, outlier: Outlier) -> Tensor:
        """Ordinary spectra that no attribution has seen, shape (K, L)."""

        given = self.scorer, outlier.spectrum, outlier.object_id
        return ordinary_spectra(*given, self.number, self.seed + 1)

    def _explained(
        self,
        outlier: Outlier,
        attributions: dict[str, np.ndarray],
        title: str,
        window: np.ndarray | None = None,
    ) -> Explanations:
        wavelength = self.spectra.grid.wavelength
        flux, ivar = outlier.spectrum.flux[0], outlier.spectrum.ivar[0]
        tables = map_tables(
            outlier.object_id,
            title,
            outlier.z,
            wavelength,
            (outlier.norm * flux.where(ivar > 0, torch.nan)).numpy(),
            outlier.norm * outlier.baselines.mean(dim=0).numpy(),
            attributions,
            window,
        )
        first = attributions[self.methods[0]]
        named = features(outlier.object_id, first, wavelength, outlier.z, self.joins, self.sky)
        return Explanations(*tables, named)


def write_explanations(
    files: Mapping[str, str], explanations: Explanations, metadata: Mapping[str, str]
) -> None:
    """Writes the three tables as Parquet, into files of the same names."""

    for name, table, declared in zip(Explanations._fields, explanations, _TABLES, strict=True):
        write_table(files[name], table, declared, metadata)


def _bright_sky(instrument: str, grid: WavelengthGrid) -> np.ndarray:
    """Pixels of a grid in bright lines of the night sky, shape (L,)."""

    observed = spectrograph(instrument)
    curves = observed.noise.curves
    bright = bright_sky(curves["line"].to_numpy(), curves["sky"].to_numpy())
    return np.interp(grid.wavelength, observed.grid.wavelength, bright) > 0.5


def _together(tables: Sequence[Explanations]) -> Explanations:
    """One after the other; of no objects there are all the columns, too."""

    if not tables:
        types = [{column.name: column.type.to_pandas_dtype() for column in x} for x in _TABLES]
        return Explanations(*(pd.DataFrame(columns=[*x]).astype(x) for x in types))
    return Explanations(*(pd.concat(x, ignore_index=True) for x in zip(*tables, strict=True)))
