"""Learns components of star-formation histories from a library of stochastic histories.

The library (all ranges assumed where no source is given), at redshift 0:

- The mean rate is, by halves, a delayed exponential or a log-normal in time (Gladders et al. 2013).
- The rate scatters about it log-normally as a damped random walk, a power spectrum of slope 2
  (Caplar & Tacchella 2019), by 0.3 dex with their break at 178 Myr and by 0.2 dex at 1.5 Gyr.
- Half of the galaxies quench: from some time on the rate declines exponentially.
- Bursts that decline in 100 Myr add 1% to 20% of the mass, half a burst per galaxy on average.

The factorisation (Lee & Seung 1999) minimises the Kullback-Leibler divergence of rates relative to
the lifetime mean in cells that are nearly even in the log of lookback time, so that the last 100
Myr count although little mass forms in them.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.optimize import nnls
from scipy.signal import lfilter

from uraniborg.tables import Column
from uraniborg.universe.histories import component_edges

__all__ = ["basis_columns", "basis_table", "history_library", "learn", "misplaced", "project"]

_AGE = 1.38e10
_STEPS, _BATCH = 4096, 500
_BREAKS = ((1.78e8, 0.3), (1.5e9, 0.2))
_BURST_DECLINE = 1e8


def history_library(count: int, cells: int, seed: int) -> np.ndarray:
    """Fractions of mass formed between the `component_edges`, youngest first, (count, cells)."""

    edges, batches = component_edges(cells), []
    for batch in range(-(-count // _BATCH)):
        mass = _draw(_BATCH, np.random.default_rng([seed, batch]))
        younger = np.cumsum(mass[:, ::-1], axis=1)
        nodes = np.linspace(0, 1, _STEPS + 1)
        batches.append([np.interp(edges, nodes, [0, *row]) for row in younger])
    return np.diff(np.concatenate(batches)[:count], axis=1)


def _draw(count: int, random: np.random.Generator) -> np.ndarray:
    """Fractions of mass formed in even steps of cosmic time, oldest first, (count, steps)."""

    def uniform(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, size=(count, 1))

    def log_uniform(low: float, high: float) -> np.ndarray:
        return np.exp(uniform(np.log(low), np.log(high)))

    # All times are in units of the age of the universe.
    time = (np.arange(_STEPS) + 0.5) / _STEPS
    tau, since = log_uniform(0.03, 1.5), (time - uniform(0, 0.2)).clip(min=0)
    delayed = since * np.exp(-since / tau)
    peak, width = uniform(0.1, 1.0), uniform(0.2, 0.8)
    # `peak` is the mode of the log-normal.
    log_normal = np.exp(-(((np.log(time / peak) / width - width) ** 2) / 2)) / time
    mass = np.where(uniform(0, 1) < 0.5, delayed, log_normal)
    for decorrelation, scatter in _BREAKS:
        memory = np.exp(-_AGE / _STEPS / decorrelation)
        kicks = random.standard_normal(mass.shape)
        kicks[:, 1:] *= np.sqrt(1 - memory**2)
        mass *= 10 ** (scatter * lfilter([1], [1, -memory], kicks, axis=1))
    quenching = np.exp(-(time - uniform(0.2, 1.0)).clip(min=0) / log_uniform(0.01, 0.1))
    mass *= np.where(uniform(0, 1) < 0.5, quenching, 1)
    mass /= mass.sum(1, keepdims=True)
    for _ in range(2):
        age = time - uniform(0.05, 0.99)
        burst = np.where(age > 0, np.exp(-age * _AGE / _BURST_DECLINE), 0)
        share = log_uniform(0.01, 0.2) * (uniform(0, 1) < 0.25)
        mass = (1 - share) * mass + share * burst / burst.sum(1, keepdims=True)
    return mass


def learn(masses: np.ndarray, components: int, seed: int) -> np.ndarray:
    """Components of a library, youngest first, rows sum to one, shape (components, cells).

    Args:
        masses: What `history_library` returns.
        components: Their number.
        seed: Of the randomised decomposition that the factorisation starts from.
    """

    # Slow to import, and not needed to use a basis.
    from sklearn.decomposition import NMF

    edges = component_edges(masses.shape[1])
    model = NMF(
        components,
        init="nndsvda",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=2000,
        tol=1e-5,
        random_state=seed,
    )
    model.fit(masses / np.diff(edges))
    basis = model.components_ * np.diff(edges)
    basis /= basis.sum(1, keepdims=True)
    return basis[np.argsort(basis @ edges[1:])]


def project(masses: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The non-negative mixtures of components nearest to histories, shape of `masses`.

    In the least-squares sense, the variance of a cell being in proportion to its width.

    Args:
        masses: Fractions of mass formed in the cells, shape (N, cells).
        basis: Shape (K, cells).
    """

    scale = np.diff(component_edges(masses.shape[1])) ** -0.5
    weights = np.array([nnls((basis * scale).T, mass * scale)[0] for mass in masses])
    return weights / weights.sum(1, keepdims=True) @ basis


def misplaced(masses: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Fraction of the mass that the nearest mixtures of a basis place into wrong cells, (N,)."""

    return np.abs(project(masses, basis) - masses).sum(1) / 2


def basis_columns(components: int) -> tuple[Column, ...]:
    """The schema of the table of a basis: one row per cell, youngest first."""

    return (
        Column("younger", pa.float64(), "", "Younger edge: lookback time over age of universe"),
        Column("older", pa.float64(), "", "Older edge: lookback time over age of universe"),
        *(
            Column(f"component_{k}", pa.float64(), "", f"Fraction of component {k} formed in cell")
            for k in range(components)
        ),
    )


def basis_table(basis: np.ndarray) -> pd.DataFrame:
    """A basis with the columns of `basis_columns`."""

    edges = component_edges(basis.shape[1])
    return pd.DataFrame(
        {
            "younger": edges[:-1],
            "older": edges[1:],
            **{f"component_{k}": row for k, row in enumerate(basis)},
        }
    )
