"""How far latents move when nothing but the redshift of a galaxy changes (arXiv:2302.02496)."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.augmentation import augmented
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.outliers.displacement import (
    Displacements,
    Encode,
    displacements,
    encoded_by,
    estimated_redshift_displacements,
    moved,
    rows_of,
    tenth_neighbour,
    wrong_redshift_displacements,
)
from uraniborg.tables import Column, Spectra
from uraniborg.universe.contaminants import NONE

__all__ = [
    "DISPLACEMENT_COLUMNS",
    "POSITION_COLUMNS",
    "REDSHIFT_PROBE_COLUMNS",
    "TABLE_COLUMNS",
    "WRONG_REDSHIFT_COLUMNS",
    "HeldOut",
    "InvarianceCheck",
    "InvarianceSettings",
    "check_invariance",
    "latent_positions",
    "redshift_probes",
    "untrained",
]

FAILURE = 0.01
"""|dz| / (1 + z) from which an estimated redshift counts as wrong."""

_NEIGHBOURS = 20

_VARIANT = Column("variant", pa.string(), "", "Trained model")
_MEASURED = (
    Column("median", pa.float64(), "", "Latent distance moved over that to the tenth neighbour"),
    Column("low", pa.float64(), "", "16th percentile over objects"),
    Column("high", pa.float64(), "", "84th percentile over objects"),
    Column("n", pa.int64(), "", "Objects"),
)

DISPLACEMENT_COLUMNS = (
    _VARIANT,
    Column("knows_z", pa.bool_(), "", "Whether the encoder is given the redshift"),
    Column("case", pa.string(), "", "trained, reobserved, estimated, untrained or shuffled"),
    Column("z", pa.float64(), "", "Redshift that spectra were moved to"),
    *_MEASURED,
)
"""Columns of how far latents move with redshift.

The `case` is `trained`; `reobserved` where the noiseless spectrum was moved and the noise level
stayed with the pixels of the detector; `estimated` where an encoder was given the redshift
estimated from the moved spectrum; and two controls: `untrained`, and `shuffled` with moved spectra
held against other objects.
"""

WRONG_REDSHIFT_COLUMNS = (
    _VARIANT,
    Column("error", pa.float64(), "", "|wrong z - z| / (1 + z)"),
    *_MEASURED,
)
"""Columns of how far latents move when an encoder is given wrong redshifts of either sign."""

POSITION_COLUMNS = (
    _VARIANT,
    Column("sample", pa.string(), "", "observed, moved to a random redshift, or track of one"),
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("z", pa.float64(), "", "Redshift that the spectrum is at"),
    Column("axis_0", pa.float64(), "", "First principal axis over distance to the tenth neighbour"),
    Column("axis_1", pa.float64(), "", "Second principal axis in the same unit"),
)
"""Columns of where held-out spectra are in the latent space."""

REDSHIFT_PROBE_COLUMNS = (
    _VARIANT,
    Column("sample", pa.string(), "", "observed, or moved to random redshifts"),
    Column("regression", pa.string(), "", "linear or neighbours"),
    Column("r2", pa.float64(), "", "Share of the variance of z explained, cross-validated"),
    Column("error", pa.float64(), "", "Its standard error by bootstrap"),
    Column("n", pa.int64(), "", "Objects"),
)
"""Columns of what latents tell of redshift."""

TABLE_COLUMNS = {
    "displacements": DISPLACEMENT_COLUMNS,
    "wrong_redshifts": WRONG_REDSHIFT_COLUMNS,
    "positions": POSITION_COLUMNS,
    "probes": REDSHIFT_PROBE_COLUMNS,
}
"""Columns of the tables of an `InvarianceCheck`."""


@dataclass(frozen=True)
class InvarianceSettings:
    """What `check_invariance` measures.

    Args:
        before: Variant of the comparison trained with the fidelity alone.
        after: The same encoder trained with all losses.
        redshifts: Redshifts that spectra are moved to, evenly over the range of the model.
        objects: How many of the spectra are moved there.
        wrong_objects: How many are given wrong redshifts.
        estimated_objects: Of how many the redshift is estimated.
        estimated_redshifts: Redshifts that these, and what is reobserved, are moved to.
        tracks: Galaxies whose way through the latent space is followed.
        seed: Of random redshifts, controls and bootstrap.
    """

    before: str
    after: str
    redshifts: int = 11
    objects: int = 400
    wrong_objects: int = 256
    estimated_objects: int = 120
    estimated_redshifts: int = 6
    tracks: int = 3
    seed: int = 0


class HeldOut(NamedTuple):
    """Spectra that no model was trained on.

    Attributes:
        batch: The spectra.
        object_ids: Their identifiers, shape (N,).
        noiseless: What they are without noise and gaps in the same units, shape (N, L); None where
            it is not known.
    """

    batch: Batch
    object_ids: np.ndarray
    noiseless: Tensor | None

    @classmethod
    def of(cls, spectra: Spectra, rows: np.ndarray, number: int, truth: Spectra | None) -> Self:
        """The first of the rows that are no contaminants.

        Args:
            spectra: The survey.
            rows: Row numbers to choose from.
            number: How many at most.
            truth: The survey's truth; None for real data.
        """

        if truth is not None:
            rows = rows[truth.column("anomaly")[rows] == NONE]
        rows = rows[:number]
        dataset, noiseless = SpectraDataset(spectra, rows), None
        if truth is not None:
            noiseless = torch.from_numpy(truth.vectors("flux", rows) / dataset.norm[:, None])
        batch = dataset.batch(np.arange(len(rows)))
        return cls(batch, spectra.column("object_id")[rows], noiseless)


class InvarianceCheck(NamedTuple):
    """What `check_invariance` finds.

    Attributes:
        displacements: The columns of `DISPLACEMENT_COLUMNS`.
        wrong_redshifts: Those of `WRONG_REDSHIFT_COLUMNS`, of encoders that know z.
        positions: Those of `POSITION_COLUMNS`, of the variants before and after.
        probes: Those of `REDSHIFT_PROBE_COLUMNS`.
        numbers: What claims are held against, each with `value`, `uncertainty` and `n`.
    """

    displacements: pd.DataFrame
    wrong_redshifts: pd.DataFrame
    positions: pd.DataFrame
    probes: pd.DataFrame
    numbers: dict[str, dict[str, float]]


def untrained(model: SpectrumAutoencoder, seed: int) -> SpectrumAutoencoder:
    """A copy of a model whose network has the weights that training starts from."""

    fresh = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in fresh.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return fresh.eval()


def redshift_probes(
    latent: np.ndarray, z: np.ndarray, draws: int = 200, seed: int = 0
) -> pd.DataFrame:
    """How well latents tell redshift: linearly, and by the mean over 20 neighbours.

    Each object is predicted from the others (five folds). Where latents know nothing of z,
    R^2 is about zero for the linear map, and about -1/20 for the neighbours.

    Args:
        latent: Shape (N, S).
        z: Shape (N,).
        draws: Bootstrap samples.
        seed: Of folds and bootstrap.

    Returns:
        `regression`, `r2`, `error` and `n`.
    """

    # Scales and mixtures of latents are left open by training: all directions count the same.
    centred = latent - latent.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    white = left[:, singular > 1e-6 * singular[0]] * np.sqrt(len(latent))
    folds = KFold(5, shuffle=True, random_state=seed)
    neighbours = KNeighborsRegressor(min(_NEIGHBOURS, len(z) // 2))
    random = np.random.default_rng(seed)
    samples = random.integers(len(z), size=(draws, len(z)))
    rows = []
    for name, regression in (("linear", LinearRegression()), ("neighbours", neighbours)):
        predicted = cross_val_predict(regression, white, z, cv=folds)
        drawn = [_r2(z[sample], predicted[sample]) for sample in samples]
        r2 = _r2(z, predicted)
        rows.append({"regression": name, "r2": r2, "error": float(np.std(drawn)), "n": len(z)})
    return pd.DataFrame(rows)


@torch.inference_mode()
def latent_positions(
    encode: Encode,
    samples: Mapping[str, Batch],
    object_ids: Sequence[str],
    step: float,
    track: Sequence[int] = (),
    redshifts: Sequence[float] = (),
) -> pd.DataFrame:
    """Where spectra are along the principal axes of the latents of those observed, in units of the
    median distance to the tenth neighbour.

    Args:
        encode: Latents of flux, ivar and z.
        samples: The same objects `observed`, which defines the axes, and in other ways.
        object_ids: Their identifiers.
        step: Distance between pixels in dex.
        track: Rows of objects that are followed through redshifts (sample `track`).
        redshifts: These redshifts.

    Returns:
        The columns of `POSITION_COLUMNS` without the variant.
    """

    home = encoded_by(encode, samples["observed"])
    mean, unit = home.mean(dim=0), tenth_neighbour(home).median()
    _, _, axes = torch.linalg.svd(home - mean, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()

    def table(sample: str, ids: Sequence[str], batch: Batch) -> pd.DataFrame:
        position = ((encoded_by(encode, batch) - mean) @ axes.T / unit).double().numpy()
        columns = {"object_id": list(ids), "z": batch.z.double().numpy()}
        columns |= {f"axis_{i}": position[:, i] for i in range(2)}
        return pd.DataFrame({"sample": sample, **columns})

    parts = [table(name, object_ids, batch) for name, batch in samples.items()]
    followed = rows_of(samples["observed"], torch.tensor(track, dtype=torch.long))
    ids = [object_ids[row] for row in track]
    parts += [table("track", ids, moved(followed, step, z)) for z in redshifts]
    return pd.concat(parts, ignore_index=True)


def check_invariance(
    models: Mapping[str, SpectrumAutoencoder], held_out: HeldOut, settings: InvarianceSettings
) -> InvarianceCheck:
    """Measures all of the above for variants of a model.

    The numbers are of each variant
    `redshift_displacement_{variant}`, from the data moved through all redshifts;
    `reobserved_displacement_{variant}`, where the noiseless spectra are known;
    `redshift_r2_{variant}`, of z from latents at random redshifts, by the better regression;
    and where the encoder knows z
    `wrong_redshift_latent_{variant}`, the |dz| / (1 + z) that moves latents as far as the tenth
    neighbour;
    `estimated_redshift_displacement_{variant}` and `estimated_redshift_failures_{variant}`.
    Further `redshift_displacement_gain`, before over after;
    `estimated_redshift_displacement_gain_{variant}`, before over that with estimated ones; and,
    of what is trained with all losses, the controls `redshift_displacement_untrained_control` and
    `redshift_displacement_shuffled_control`.

    Args:
        models: Trained variants by name.
        held_out: Spectra.
        settings: What to measure.

    Raises:
        UserError: A variant is missing, or they differ in grid or range of redshifts.
    """

    batch, object_ids, noiseless = held_out
    step, z_range = _common(models, settings)
    # Uniform in redshift whatever the objects: a perfect encoder knows nothing of it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        elsewhere = augmented(batch, step, z_range, noise=0.0, noisy=0.0, masked=0.0)
    samples = {"observed": batch, "moved": elsewhere}

    found, numbers = _moved_displacements(models, batch, noiseless, step, z_range, settings)
    wrong, wrong_numbers = _wrong_redshifts(models, batch, settings)
    probes, probe_numbers = _probes(models, samples, settings.seed)
    # Galaxies spread over the latent space.
    first = latent_positions(models[settings.after].encode, {"observed": batch}, object_ids, step)
    order = first["axis_0"].to_numpy().argsort()
    track = order[np.linspace(0, len(order) - 1, settings.tracks + 2).astype(int)[1:-1]]
    redshifts = np.linspace(*z_range, 41)
    positions = [
        latent_positions(models[name].encode, samples, object_ids, step, track, redshifts).assign(
            variant=name
        )
        for name in (settings.before, settings.after)
    ]
    return InvarianceCheck(
        found,
        wrong,
        pd.concat(positions, ignore_index=True),
        probes,
        numbers | wrong_numbers | probe_numbers,
    )


def _moved_displacements(
    models: Mapping[str, SpectrumAutoencoder],
    batch: Batch,
    noiseless: Tensor | None,
    step: float,
    z_range: tuple[float, float],
    settings: InvarianceSettings,
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """The columns of `DISPLACEMENT_COLUMNS`, and the numbers."""

    redshifts, seed = np.linspace(*z_range, settings.redshifts), settings.seed
    fewer = np.linspace(*z_range, settings.estimated_redshifts)
    found, numbers = {}, {}
    for name, model in models.items():
        here = displacements(model.encode, batch, step, redshifts, settings.objects)
        found[name, "trained"] = here
        numbers[f"redshift_displacement_{name}"] = here.number(seed=seed)
        if noiseless is not None:
            here = displacements(model.encode, batch, step, fewer, settings.objects, noiseless)
            found[name, "reobserved"] = here
            numbers[f"reobserved_displacement_{name}"] = here.number(seed=seed)
        if _knows_z(model):
            here, errors = estimated_redshift_displacements(
                model, batch, step, fewer, settings.estimated_objects
            )
            found[name, "estimated"] = here
            numbers[f"estimated_redshift_displacement_{name}"] = here.number(seed=seed)
            numbers[f"estimated_redshift_failures_{name}"] = _failures(errors)
    before = found[settings.before, "trained"]
    numbers["redshift_displacement_gain"] = _gain(before, found[settings.after, "trained"], seed)
    for name, case in found:
        if case == "estimated":
            gain = _gain(before, found[name, case], seed)
            numbers[f"estimated_redshift_displacement_gain_{name}"] = gain
    model = models[settings.after]
    for case, control, shuffle in (
        ("untrained", untrained(model, seed), None),
        ("shuffled", model, seed),
    ):
        here = displacements(
            control.encode, batch, step, redshifts, settings.objects, shuffle=shuffle
        )
        found[settings.after, case] = here
        numbers[f"redshift_displacement_{case}_control"] = here.number(seed=seed)
    tables = [
        result.table().assign(variant=name, case=case, knows_z=_knows_z(models[name]))
        for (name, case), result in found.items()
    ]
    return pd.concat(tables, ignore_index=True).rename(columns={"at": "z"}), numbers


def _gain(before: Displacements, after: Displacements, seed: int) -> dict[str, float]:
    """How many times smaller displacements have become."""

    ratios = before.bootstrap(seed=seed) / after.bootstrap(seed=seed)
    return {
        "value": before.value / after.value,
        "uncertainty": float(ratios.std()),
        "n": after.distance.shape[-1],
    }


def _wrong_redshifts(
    models: Mapping[str, SpectrumAutoencoder], batch: Batch, settings: InvarianceSettings
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """The columns of `WRONG_REDSHIFT_COLUMNS`, and the numbers."""

    names = [column.name for column in WRONG_REDSHIFT_COLUMNS]
    tables, numbers = [pd.DataFrame(columns=names)], {}
    for name, model in models.items():
        if _knows_z(model):
            errors = np.logspace(-4, -1, 13)
            found = wrong_redshift_displacements(model, batch, errors, settings.wrong_objects)
            tables.append(found.table().rename(columns={"at": "error"}).assign(variant=name))
            numbers[f"wrong_redshift_latent_{name}"] = found.reach(seed=settings.seed)
    return pd.concat(tables[1:] or tables, ignore_index=True), numbers


def _probes(
    models: Mapping[str, SpectrumAutoencoder], samples: Mapping[str, Batch], seed: int
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """The columns of `REDSHIFT_PROBE_COLUMNS`, and the numbers."""

    tables, numbers = [], {}
    for name, model in models.items():
        for sample, batch in samples.items():
            latent = encoded_by(model.encode, batch).double().numpy()
            probes = redshift_probes(latent, batch.z.double().numpy(), seed=seed)
            tables.append(probes.assign(variant=name, sample=sample))
            if sample == "moved":
                best = max(probes.to_dict("records"), key=lambda probe: probe["r2"])
                number = {"value": best["r2"], "uncertainty": best["error"], "n": best["n"]}
                numbers[f"redshift_r2_{name}"] = number
    return pd.concat(tables, ignore_index=True), numbers


def _common(
    models: Mapping[str, SpectrumAutoencoder], settings: InvarianceSettings
) -> tuple[float, tuple[float, float]]:
    """The step of the grid in dex, and the redshifts that the models cover."""

    for name in (settings.before, settings.after):
        if name not in models:
            raise UserError(f"there is no variant `{name}` to compare; trained are {[*models]}.")
    transforms = [model.transform for model in models.values()]
    if len({(each.observed, each.z_min, each.z_max) for each in transforms}) > 1:
        raise UserError("variants differ in wavelengths or in `z_min` and `z_max`; use the same.")
    return transforms[0].observed.step, (max(transforms[0].z_min, 0.0), transforms[0].z_max)


def _knows_z(model: SpectrumAutoencoder) -> bool:
    return isinstance(model.encoder, RestframeEncoder)


def _failures(errors: np.ndarray) -> dict[str, float]:
    """The fraction of redshifts (R, N) that are wrong, with the binomial standard error of N
    objects (Agresti & Coull 1998, Am. Stat. 52, 119), as their copies may fail together."""

    failed = (np.abs(errors) > FAILURE).mean(axis=0)
    n, adjusted = len(failed), (failed.sum() + 2) / (len(failed) + 4)
    uncertainty = np.sqrt(adjusted * (1 - adjusted) / (n + 4))
    return {"value": float(failed.mean()), "uncertainty": float(uncertainty), "n": n}


def _r2(target: np.ndarray, prediction: np.ndarray) -> float:
    return float(1 - np.square(target - prediction).mean() / target.var())
