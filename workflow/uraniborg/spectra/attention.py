"""Which parts of a spectrum an encoder with attention draws a spectral feature from (Grad-FAM)."""

import copy
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.encoders import PublishedEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.tables import Column

__all__ = [
    "CURVE_COLUMNS",
    "ENHANCEMENT_COLUMNS",
    "FEATURES",
    "Feature",
    "Sequence",
    "attention_numbers",
    "attention_tables",
    "attribution",
    "enhancement",
    "in_restframe",
    "near_feature",
    "sequence",
    "strength",
    "untrained",
]


class Feature(NamedTuple):
    """A spectral feature: the mean flux in some windows of the rest frame against that in others.

    Attributes:
        name: As printed in a figure.
        windows: Windows of the feature in Angstrom, vacuum.
        sides: Windows of what it is compared with: the continuum to either side of a line.
        extent: Where attribution counts as that of the feature, in Angstrom.
        sign: 1 for emission and for a red side brighter than the blue, -1 for absorption.
    """

    name: str
    windows: tuple[tuple[float, float], ...]
    sides: tuple[tuple[float, float], ...]
    extent: tuple[float, float]
    sign: float = 1.0


FEATURES = (
    Feature("Hα", ((6555, 6575),), ((6500, 6535), (6600, 6650)), (6555, 6575)),
    Feature("[O III] 5008", ((4998, 5018),), ((4975, 4995), (5025, 5060)), (4998, 5018)),
    Feature(
        "Ca H & K",
        ((3925, 3945), (3960, 3980)),
        ((3905, 3920), (3990, 4010)),
        (3925, 3980),
        sign=-1.0,
    ),
    # The narrow windows of Balogh et al. (1999, ApJ 527, 54).
    Feature("D4000", ((4001, 4101),), ((3851, 3951),), (3851, 4101)),
)
"""Hα and [O III] in emission, Ca H & K in absorption, and the 4000 Angstrom break."""


CURVE_COLUMNS = (
    Column("feature", pa.string(), "", "Feature of the decoded spectrum"),
    Column("curve", pa.string(), "", "mean, untrained (control), spectrum, or an object_id"),
    Column("wavelength", pa.float32(), "Angstrom", "Rest-frame vacuum wavelength"),
    Column("value", pa.float32(), "", "Attribution over an even one; median decoded flux"),
)
"""Columns of the curves that a figure shows."""

ENHANCEMENT_COLUMNS = (
    Column("feature", pa.string(), "", "Feature of the decoded spectrum"),
    Column("low", pa.float64(), "Angstrom", "Where it begins"),
    Column("high", pa.float64(), "Angstrom", "Where it ends"),
    Column("peak", pa.float64(), "Angstrom", "Where the mean attribution is greatest"),
    *(
        Column(f"{name}{suffix}", pa.float64(), "", f"{text}{ending}")
        for name, text in {
            "enhancement": "Attribution near the feature over an even one, mean over galaxies",
            "untrained": "The same of encoders that learned nothing (control)",
            "shuffled": "The same near where the feature of another galaxy is (control)",
        }.items()
        for suffix, ending in {"": "", "_error": ", its standard error by bootstrap"}.items()
    ),
    Column("n", pa.int64(), "", "Galaxies: the half with the strongest feature, if observed"),
)
"""Columns of how much attribution concentrates."""

# Where curves are evaluated, and of how many galaxies one by one.
_WAVELENGTH = np.geomspace(3500, 8000, 1200)
_GALAXIES = 5
_UNTRAINED = 3
_DRAWS = 200


class Sequence(NamedTuple):
    """Where the positions of an encoder's sequence lie in the spectrum.

    Attributes:
        centre: Pixel at the centre of what each position sees, shape (P,).
        stride: Pixels from one position to the next.
        field: Pixels that a position sees.
    """

    centre: np.ndarray
    stride: int
    field: int


def sequence(encoder: FluxEncoder | PublishedEncoder, pixels: int) -> Sequence:
    """Follows an encoder's convolutions and pools from the spectrum to what is attended to.

    Normalisations that look at the whole spectrum do not count: they know no place.

    Args:
        encoder: The encoder.
        pixels: Length L of the spectra.
    """

    # Those of the last dimension, along the spectrum.
    steps = [
        tuple(np.atleast_1d(n)[-1] for n in (layer.kernel_size, layer.stride, layer.padding))
        for layer in encoder.convolutions
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.MaxPool1d)
    ]
    if isinstance(encoder, FluxEncoder):
        steps.insert(0, (encoder.kernel, encoder.stride, 0))
    first, stride, field, size = 0.0, 1, 1, pixels
    for kernel, step, padding in steps:
        first += stride * ((kernel - 1) / 2 - padding)
        field += stride * (kernel - 1)
        size = (size + 2 * padding - kernel) // step + 1
        stride *= step
    return Sequence(first + stride * np.arange(size), int(stride), int(field))


def strength(restframe: Tensor, wavelength: np.ndarray, feature: Feature) -> Tensor:
    """A feature's mean flux over that beside it, in units of the latter, shape (N,).

    Args:
        restframe: Decoded spectra (N, M).
        wavelength: Their wavelengths, shape (M,).
        feature: The feature.
    """

    inside, beside = (
        restframe[:, _within(wavelength, windows)].mean(dim=1)
        for windows in (feature.windows, feature.sides)
    )
    return feature.sign * (inside - beside) / beside


def attribution(
    model: SpectrumAutoencoder, batch: Batch, feature: Feature
) -> tuple[np.ndarray, np.ndarray]:
    """How much the attention to each position serves a feature of the decoded spectrum (Grad-FAM,
    arXiv:2211.07890): relu(a dl/da) summed over channels, with a the attention and l the feature's
    strength.

    Args:
        model: With an encoder that has `attend` and `summarise`.
        batch: Spectra (N, L).
        feature: The feature.

    Returns:
        The attribution by position of the encoder's sequence, rows sum to one or are zero, (N, P);
        and l, shape (N,).
    """

    with torch.no_grad():
        values, attention = model.encoder.attend(batch.flux, batch.ivar)
    attention.requires_grad_()
    restframe = model.decode(model.encoder.summarise(values, attention))
    value = strength(restframe, model.transform.restframe.wavelength, feature)
    # Objects do not mix, so that one gradient serves them all.
    (gradient,) = torch.autograd.grad(value.sum(), attention)
    serving = (attention.detach() * gradient).relu().sum(dim=1)
    total = serving.sum(dim=1, keepdim=True).clamp_min(torch.finfo(serving.dtype).tiny)
    return (serving / total).numpy(), value.detach().numpy()


def enhancement(shares: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Attribution near a feature over that of an even distribution, shape (N,).

    Args:
        shares: Attribution by position, rows sum to one, shape (N, P).
        near: Which positions are near the feature, shape (N, P).

    Returns:
        NaN where no position is near or nothing was attributed.
    """

    expected = near.mean(axis=1)
    valid = (expected > 0) & (shares.sum(axis=1) > 0)
    return np.where(valid, (shares * near).sum(axis=1) / np.where(valid, expected, 1), np.nan)


def near_feature(
    positions: Sequence, grid: WavelengthGrid, z: np.ndarray, feature: Feature
) -> np.ndarray:
    """Which positions are within a feature or half a stride of its edges, shape (N, P).

    None are where a part of the feature is not observed.

    Args:
        positions: The encoder's.
        grid: The spectrograph's.
        z: Redshifts, shape (N,).
        feature: The feature.
    """

    pixels = np.arange(grid.size)
    low, high = (
        np.interp(edge * (1 + z), grid.wavelength, pixels, left=np.nan, right=np.nan)[:, None]
        for edge in feature.extent
    )
    # Comparisons with NaN are false.
    margin = positions.stride / 2
    return (positions.centre >= low - margin) & (positions.centre <= high + margin)


def in_restframe(
    shares: np.ndarray,
    positions: Sequence,
    grid: WavelengthGrid,
    z: np.ndarray,
    wavelength: np.ndarray,
) -> np.ndarray:
    """Attribution over that of an even distribution at rest-frame wavelengths, shape (N, W).

    Each wavelength has the value of the position whose centre is nearest; NaN outside the spectrum.

    Args:
        shares: Attribution by position, rows sum to one, shape (N, P).
        positions: The encoder's.
        grid: The spectrograph's.
        z: Redshifts, shape (N,).
        wavelength: Rest frame, Angstrom, shape (W,).
    """

    pixels = np.arange(grid.size)
    observed = wavelength * (1 + z[:, None])
    pixel = np.interp(observed, grid.wavelength, pixels, left=np.nan, right=np.nan)
    outside = np.isnan(pixel)
    nearest = np.rint((np.where(outside, 0, pixel) - positions.centre[0]) / positions.stride)
    nearest = nearest.astype(int).clip(0, len(positions.centre) - 1)
    values = np.take_along_axis(shares, nearest, axis=1) * shares.shape[1]
    return np.where(outside, np.nan, values)


def untrained(model: SpectrumAutoencoder, seed: int) -> SpectrumAutoencoder:
    """The same model with an encoder that has learned nothing: what attribution must beat.

    The decoder is kept, so that features mean the same.
    """

    control = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in control.encoder.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return control


def attention_tables(
    model: SpectrumAutoencoder, batch: Batch, object_ids: np.ndarray, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Attribution of all `FEATURES` over the half of the objects in which each is strongest.

    Args:
        model: With an encoder that has `attend` and `summarise`.
        batch: Held-out spectra (N, L).
        object_ids: Their identifiers, shape (N,).
        seed: Of the controls and of the bootstrap.

    Returns:
        The columns of `CURVE_COLUMNS` and of `ENHANCEMENT_COLUMNS`.
    """

    grid, z = model.transform.observed, batch.z.numpy()
    positions = sequence(model.encoder, grid.size)
    controls = [untrained(model, seed + i) for i in range(_UNTRAINED)]
    with torch.inference_mode():
        restframe = model.decode(model.encode(*batch)).numpy()
    restframe /= restframe.mean(axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    curves, rows = [], []
    for feature in FEATURES:
        shares, value = attribution(model, batch, feature)
        near = near_feature(positions, grid, z, feature)
        seen = np.flatnonzero(near.any(axis=1) & shares.any(axis=1))
        strong = seen[np.argsort(-value[seen], kind="stable")[: (len(seen) + 1) // 2]]
        strong = strong[np.argsort(z[strong], kind="stable")]
        there = Batch(*(tensor[strong] for tensor in batch))
        blank = np.mean([attribution(control, there, feature)[0] for control in controls], axis=0)

        mean, of_blank = (
            in_restframe(values, positions, grid, z[strong], _WAVELENGTH)
            for values in (shares[strong], blank)
        )
        shown = np.unique(np.linspace(0, len(strong) - 1, _GALAXIES).astype(int))
        decoded = np.median(restframe[strong], axis=0)
        drawn = {
            "mean": np.nanmean(mean, axis=0),
            "untrained": np.nanmean(of_blank, axis=0),
            "spectrum": np.interp(_WAVELENGTH, model.transform.restframe.wavelength, decoded),
            **{object_ids[strong[i]]: mean[i] for i in shown},
        }
        for name, values in drawn.items():
            columns = {"curve": name, "wavelength": _WAVELENGTH, "value": values}
            curves.append(pd.DataFrame({"feature": feature.name, **columns}))

        row = {"feature": feature.name, "n": len(strong)}
        row |= {"low": feature.extent[0], "high": feature.extent[1]}
        row["peak"] = _WAVELENGTH[np.nanargmax(drawn["mean"])]
        for name, values in {
            "enhancement": enhancement(shares[strong], near[strong]),
            "untrained": enhancement(blank, near[strong]),
            "shuffled": enhancement(shares[strong], near[random.permutation(strong)]),
        }.items():
            samples = random.choice(values, (_DRAWS, len(values)))
            row |= {name: values.mean(), f"{name}_error": samples.mean(axis=1).std()}
        rows.append(row)
    return pd.concat(curves, ignore_index=True), pd.DataFrame(rows)


def attention_numbers(enhancements: pd.DataFrame) -> dict[str, dict[str, float]]:
    """What claims are held against, in the order of `FEATURES`: `attention_halpha`, `_oiii`,
    `_ca_hk`, `_d4000`. Of H alpha there are controls: `attention_untrained_control`, and
    `attention_shuffled_control`, the attribution where H alpha of another galaxy is over that
    where its own is.

    Args:
        enhancements: As `attention_tables` gives them.
    """

    def number(row: pd.Series, name: str, unit: float = 1.0) -> dict[str, float]:
        value, error = (float(row[key] / unit) for key in (name, f"{name}_error"))
        return {"value": value, "uncertainty": error, "n": int(row["n"])}

    names = ("halpha", "oiii", "ca_hk", "d4000")
    rows = [row for _, row in enhancements.iterrows()]
    numbers = {
        f"attention_{name}": number(row, "enhancement")
        for name, row in zip(names, rows, strict=True)
    }
    halpha = rows[0]
    numbers["attention_untrained_control"] = number(halpha, "untrained")
    numbers["attention_shuffled_control"] = number(halpha, "shuffled", halpha["enhancement"])
    return numbers


def _within(wavelength: np.ndarray, windows: tuple[tuple[float, float], ...]) -> np.ndarray:
    return np.any([(wavelength >= low) & (wavelength <= high) for low, high in windows], axis=0)
