"""How far latents move when nothing but the redshift of a galaxy changes (arXiv:2302.02496)."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.estimated_redshift import EstimatedRedshiftEncoder
from uraniborg.tables import Column

__all__ = [
    "DISPLACEMENT_COLUMNS",
    "POSITION_COLUMNS",
    "REDSHIFT_PROBE_COLUMNS",
    "WRONG_REDSHIFT_COLUMNS",
    "Displacements",
    "InvarianceCheck",
    "InvarianceSettings",
    "check_invariance",
    "displacements",
    "estimated_redshift_displacements",
    "latent_positions",
    "moved",
    "redshift_probes",
    "tenth_neighbour",
    "untrained",
    "wrong_redshift_displacements",
]

FAILURE = 0.01
"""|dz| / (1 + z) from which an estimated redshift counts as wrong."""

_CHUNK = 256
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

Encode = Callable[[Tensor, Tensor, Tensor], Tensor]


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


class Displacements(NamedTuple):
    """How far the latents of N objects move under R changes of redshift.

    Attributes:
        at: What the change is: the redshift moved to, or the error of the one given, shape (R,).
        distance: From the latent before, NaN where not measured, shape (R, ..., N).
        tenth: Distance of M held-out objects to their tenth neighbours, shape (M,).
    """

    at: np.ndarray
    distance: np.ndarray
    tenth: np.ndarray

    @property
    def value(self) -> float:
        """Median distance over objects and changes, over the median of `tenth`."""

        return float(_ratio(np.nanmedian(self.distance), np.median(self.tenth)))

    def bootstrap(self, draws: int = 200, seed: int = 0) -> np.ndarray:
        """The value of samples of objects with replacement, shape (draws,).

        With the same seed, samples are the same for any latents of the same objects.
        """

        return np.array([part.value for part in self._samples(draws, seed)])

    def number(self, draws: int = 200, seed: int = 0) -> dict[str, float]:
        """`value`, its standard error by bootstrap over objects `uncertainty`, and `n` objects."""

        uncertainty = np.nan if np.isinf(self.value) else self.bootstrap(draws, seed).std()
        return {"value": self.value, "uncertainty": float(uncertainty), "n": self._objects}

    def reach(self, limit: float = 1.0, draws: int = 200, seed: int = 0) -> dict[str, float]:
        """Where the median of the distances, in the same units, first exceeds a limit.

        It is interpolated between logarithms, and NaN if they never do or always.
        """

        drawn = [_crossing(part.at, part._medians, limit) for part in self._samples(draws, seed)]
        return {
            "value": _crossing(self.at, self._medians, limit),
            "uncertainty": float(np.nanstd(drawn)) if np.isfinite(drawn).any() else np.nan,
            "n": self._objects,
        }

    def table(self) -> pd.DataFrame:
        """`at`, `median`, `low`, `high` (16th and 84th percentiles) and `n` per change, in units
        of the median of `tenth`."""

        distance = self.distance.reshape(len(self.at), -1)
        quantiles = np.nanquantile(distance, [0.5, 0.16, 0.84], axis=1)
        median, low, high = _ratio(quantiles, np.median(self.tenth))
        measured = np.isfinite(self.distance).reshape(len(self.at), -1, self.distance.shape[-1])
        columns = {"at": self.at, "median": median, "low": low, "high": high}
        return pd.DataFrame({**columns, "n": measured.any(axis=1).sum(axis=1)})

    def _samples(self, draws: int, seed: int) -> list["Displacements"]:
        random = np.random.default_rng(seed)
        sizes = self.distance.shape[-1], len(self.tenth)
        samples = ([random.integers(size, size=size) for size in sizes] for _ in range(draws))
        return [
            Displacements(self.at, self.distance[..., rows], self.tenth[others])
            for rows, others in samples
        ]

    @property
    def _objects(self) -> int:
        return self.distance.shape[-1]

    @property
    def _medians(self) -> np.ndarray:
        medians = np.nanmedian(self.distance.reshape(len(self.at), -1), axis=1)
        return _ratio(medians, np.median(self.tenth))


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


def moved(batch: Batch, step: float, z: float) -> Batch:
    """Spectra as they would be observed at another redshift, to half a pixel; the data themselves
    are shifted, so that what leaves the range is lost and what enters it is unknown.

    Args:
        batch: Spectra on a log10 grid.
        step: Distance between its pixels in dex.
        z: The redshift.
    """

    return augmented(batch, step, (z, z), noise=0.0, noisy=0.0, masked=0.0)


def tenth_neighbour(latent: Tensor) -> Tensor:
    """Distances of latents (N, S) to their tenth neighbours (the last, if there are fewer)."""

    # Not by products of matrices, in which small distances cancel.
    distances = torch.cdist(latent, latent, compute_mode="donot_use_mm_for_euclid_dist")
    # The nearest is the object itself.
    return distances.kthvalue(min(11, len(latent)), dim=1)[0]


@torch.inference_mode()
def displacements(
    encode: Encode,
    batch: Batch,
    step: float,
    redshifts: Sequence[float],
    objects: int | None = None,
    noiseless: Tensor | None = None,
    shuffle: int | None = None,
) -> Displacements:
    """How far latents move when spectra are moved to other redshifts.

    Moving the data moves their noise as well: an encoder may read off where the sky is bright by
    how far they were moved, which nothing would tell it of a galaxy observed there. Noiseless
    spectra can be moved without: what is at a redshift then is as noisy as the detector's pixels.

    Args:
        encode: Latents of flux, ivar and z; the redshift is moved with the spectrum.
        batch: Held-out spectra, among which neighbours are counted.
        step: Distance between pixels in dex.
        redshifts: Redshifts to move to.
        objects: How many of them are moved, evenly over the batch; all by default.
        noiseless: What the spectra are without noise and gaps, shape (N, L), to be moved instead
            while the inverse variance stays where it is.
        shuffle: Seed of a control in which moved spectra are held against other objects.
    """

    latent = _encoded(encode, batch)
    rows = _some(len(latent), objects)
    few = _take(batch, rows)
    if noiseless is None:
        start, copies = latent[rows], (moved(few, step, z) for z in redshifts)
    else:
        clean = Batch(noiseless[rows], torch.ones_like(few.ivar), few.z)
        start = _encoded(encode, _reobserved(clean, few.ivar))
        copies = (_reobserved(moved(clean, step, z), few.ivar) for z in redshifts)
    if shuffle is not None:
        start = start[_derangement(len(rows), shuffle)]
    distance = [(_encoded(encode, there) - start).norm(dim=1) for there in copies]
    return Displacements(
        np.asarray(redshifts, float),
        torch.stack(distance).double().numpy(),
        tenth_neighbour(latent).double().numpy(),
    )


@torch.inference_mode()
def wrong_redshift_displacements(
    model: SpectrumAutoencoder, batch: Batch, errors: Sequence[float], objects: int | None = None
) -> Displacements:
    """How far latents move when spectra stay and their redshifts are wrong, by either sign.

    Args:
        model: The trained model.
        batch: Held-out spectra at the right redshifts.
        errors: Values of |wrong z - z| / (1 + z). What leaves the model's range is NaN.
        objects: How many are given wrong redshifts, evenly over the batch; all by default.

    Returns:
        Distances of shape (R, 2, N), by error, sign and object.
    """

    latent = _encoded(model.encode, batch)
    rows = _some(len(latent), objects)
    few, low, high = _take(batch, rows), model.transform.z_min, model.transform.z_max
    distance = torch.full((len(errors), 2, len(rows)), torch.nan)
    for i, error in enumerate(errors):
        for j, sign in enumerate((-1, 1)):
            wrong = few.z + sign * error * (1 + few.z)
            inside = (wrong >= low) & (wrong <= high)
            given = Batch(few.flux[inside], few.ivar[inside], wrong[inside])
            moved_to = _encoded(model.encode, given)
            distance[i, j, inside] = (moved_to - latent[rows][inside]).norm(dim=1)
    tenth = tenth_neighbour(latent).double().numpy()
    return Displacements(np.asarray(errors, float), distance.double().numpy(), tenth)


@torch.inference_mode()
def estimated_redshift_displacements(
    model: SpectrumAutoencoder,
    batch: Batch,
    step: float,
    redshifts: Sequence[float],
    objects: int | None = None,
) -> tuple[Displacements, np.ndarray]:
    """How far from home moved spectra are encoded at redshifts that are estimated from them.

    Home is the latent of the spectrum where it was observed, at its right redshift: unlike the
    other displacements, this one includes what the estimate gets wrong there.

    Args:
        model: A trained autoencoder whose encoder has a rest-frame basis.
        batch: Held-out spectra at the right redshifts.
        step: Distance between pixels in dex.
        redshifts: Redshifts to move to.
        objects: How many are moved, evenly over the batch; all by default.

    Returns:
        The displacements, and the errors (estimated z - z) / (1 + z) of shape (R, N).
    """

    latent = _encoded(model.encode, batch)
    rows = _some(len(latent), objects)
    encoder, few = EstimatedRedshiftEncoder(model), _take(batch, rows)
    distance, errors = [], []
    for z in redshifts:
        there = moved(few, step, z)
        found, estimate = encoder.with_redshift(there.flux, there.ivar)
        distance.append((found - latent[rows]).norm(dim=1))
        errors.append((estimate - there.z) / (1 + there.z))
    result = Displacements(
        np.asarray(redshifts, float),
        torch.stack(distance).double().numpy(),
        tenth_neighbour(latent).double().numpy(),
    )
    return result, torch.stack(errors).numpy()


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

    home = _encoded(encode, samples["observed"])
    mean, unit = home.mean(dim=0), tenth_neighbour(home).median()
    _, _, axes = torch.linalg.svd(home - mean, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()

    def table(sample: str, ids: Sequence[str], batch: Batch) -> pd.DataFrame:
        position = ((_encoded(encode, batch) - mean) @ axes.T / unit).double().numpy()
        columns = {"object_id": list(ids), "z": batch.z.double().numpy()}
        columns |= {f"axis_{i}": position[:, i] for i in range(2)}
        return pd.DataFrame({"sample": sample, **columns})

    parts = [table(name, object_ids, batch) for name, batch in samples.items()]
    followed = _take(samples["observed"], torch.tensor(track, dtype=torch.long))
    ids = [object_ids[row] for row in track]
    parts += [table("track", ids, moved(followed, step, z)) for z in redshifts]
    return pd.concat(parts, ignore_index=True)


def check_invariance(
    models: Mapping[str, SpectrumAutoencoder],
    batch: Batch,
    object_ids: Sequence[str],
    settings: InvarianceSettings,
    noiseless: Tensor | None = None,
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
    Further `redshift_displacement_gain`, before over after, and of the latter the controls
    `redshift_displacement_untrained_control` and `redshift_displacement_shuffled_control`.

    Args:
        models: Trained variants by name.
        batch: Held-out spectra.
        object_ids: Their identifiers.
        settings: What to measure.
        noiseless: What the spectra are without noise and gaps in the same units, shape (N, L).

    Raises:
        UserError: A variant is missing, or they differ in grid or range of redshifts.
    """

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
    before, after = (found[name, "trained"] for name in (settings.before, settings.after))
    ratios = before.bootstrap(seed=seed) / after.bootstrap(seed=seed)
    numbers["redshift_displacement_gain"] = {
        "value": before.value / after.value,
        "uncertainty": float(ratios.std()),
        "n": after.distance.shape[-1],
    }
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
            latent = _encoded(model.encode, batch).double().numpy()
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


def _reobserved(clean: Batch, ivar: Tensor) -> Batch:
    """Noiseless spectra, whose ivar says where they are known, with the detector's ivar."""

    weight = torch.where(clean.ivar > 0, ivar, 0)
    return Batch(torch.where(weight > 0, clean.flux, 0), weight, clean.z)


def _knows_z(model: SpectrumAutoencoder) -> bool:
    return isinstance(model.encoder, RestframeEncoder)


@torch.inference_mode()
def _encoded(encode: Encode, batch: Batch) -> Tensor:
    """Latents, some spectra at a time."""

    parts = zip(*(column.split(_CHUNK) for column in batch), strict=True)
    return torch.cat([encode(*part) for part in parts])


def _take(batch: Batch, rows: Tensor) -> Batch:
    return Batch(*(column[rows] for column in batch))


def _some(number: int, most: int | None) -> Tensor:
    """Rows spread evenly, as surveys may be ordered."""

    return torch.linspace(0, number - 1, min(number, most or number)).long()


def _derangement(number: int, seed: int) -> Tensor:
    """An order in which nothing is in its place."""

    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    return order.roll(1)[order.argsort()]


def _ratio(distance: np.ndarray, unit: float) -> np.ndarray:
    """Distances in a unit; infinite where all latents are the same, which is no invariance."""

    return distance / unit if unit > 0 else np.full_like(distance, np.inf)


def _failures(errors: np.ndarray) -> dict[str, float]:
    """The fraction of redshifts (R, N) that are wrong, with the binomial standard error of N
    objects (Agresti & Coull 1998, Am. Stat. 52, 119), as their copies may fail together."""

    failed = (np.abs(errors) > FAILURE).mean(axis=0)
    n, adjusted = len(failed), (failed.sum() + 2) / (len(failed) + 4)
    uncertainty = np.sqrt(adjusted * (1 - adjusted) / (n + 4))
    return {"value": float(failed.mean()), "uncertainty": float(uncertainty), "n": n}


def _crossing(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """Where y first exceeds a limit between logarithms, NaN if it never or always does."""

    above = np.flatnonzero(y > limit)
    if len(above) == 0 or above[0] == 0:
        return float("nan")
    pair = slice(above[0] - 1, above[0] + 1)
    return float(10 ** np.interp(np.log10(limit), np.log10(y[pair]), np.log10(x[pair])))


def _r2(target: np.ndarray, prediction: np.ndarray) -> float:
    return float(1 - np.square(target - prediction).mean() / target.var())
