"""Numbers that say how good redshifts are, from tables of `uraniborg.spectra.redshift_recovery`."""

import itertools

import numpy as np
import pandas as pd

__all__ = [
    "CATASTROPHIC",
    "SUCCESS",
    "in_snr_bins",
    "recovery_numbers",
    "relative_error",
    "scatter",
    "wrong_redshift_numbers",
]

SUCCESS = 5e-4
"""Largest |dz| / (1 + z) of a redshift that was found."""

CATASTROPHIC = 1000 / 299792.458
"""|dz| / (1 + z) from which a redshift is another one: 1000 km/s."""


def relative_error(table: pd.DataFrame) -> pd.Series:
    """(z - true z) / (1 + true z) of each object."""

    return (table["z"] - table["z_true"]) / (1 + table["z_true"])


def scatter(values: pd.Series) -> float:
    """1.48 times the median absolute deviation, the standard deviation of a Gaussian."""

    return float(1.4826 * (values - values.median()).abs().median())


def recovery_numbers(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Success, catastrophic failures, scatter and pulls of each search, as claims take them.

    Args:
        table: The columns of `uraniborg.spectra.redshift_recovery.RECOVERY_COLUMNS`.
    """

    error = relative_error(table).abs()
    usual = (table["kind"] == "galaxy") & (table["anomaly"] == "none")
    bright = table["snr"] > 5
    search = {name: table["search"] == name for name in table["search"].unique()}
    start, everywhere, degraded = (search[name] for name in ("start", "everywhere", "degraded"))
    unwarned = degraded & (table["zwarning"] == 0)
    pull = (table["z"] - table["z_true"]) / table["z_err"]
    return {
        "redshift_success": _fraction(error[start & bright] < SUCCESS),
        "redshift_success_usual": _fraction(error[start & bright & usual] < SUCCESS),
        "redshift_catastrophic": _fraction(error[everywhere & usual] > CATASTROPHIC),
        "redshift_catastrophic_all": _fraction(error[everywhere] > CATASTROPHIC),
        "redshift_scatter": _scatter(relative_error(table)[everywhere & usual]),
        "redshift_pull": _scatter(pull[everywhere & usual]),
        "redshift_catastrophic_degraded": _fraction(error[degraded & usual] > CATASTROPHIC),
        "redshift_catastrophic_unwarned": _fraction(error[unwarned & usual] > CATASTROPHIC),
        "redshift_shuffled_control": _fraction(error[search["shuffled"]] < SUCCESS),
        "redshift_shifted_control": _fraction(error[search["shifted"]] < SUCCESS),
        "redshift_noise_control": _fraction(table["zwarning"][search["noise"]] == 0),
    }


def wrong_redshift_numbers(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """From which |dz| / (1 + z) on a wrong redshift shows, as claims take it.

    In the fit that is a median reduced chi-squared 0.05 above that of the right redshift, in the
    latents a median displacement as large as the distance to the tenth neighbour.

    Args:
        table: The columns of `uraniborg.spectra.redshift_recovery.WRONG_COLUMNS`.
    """

    size = table["offset"].abs()
    medians = table.groupby(size)[["reduced_chi2", "displacement"]].median()
    objects = table["object_id"].nunique()
    limits = {
        "reduced_chi2": medians["reduced_chi2"].iloc[0] + 0.05,
        "displacement": 1.0,
    }
    names = {"reduced_chi2": "wrong_redshift_fit", "displacement": "wrong_redshift_latent"}
    return {
        names[column]: {"value": _crossing(medians[column], limit), "n": objects}
        for column, limit in limits.items()
    }


def in_snr_bins(table: pd.DataFrame, edges: np.ndarray) -> pd.DataFrame:
    """Median S/N, fractions that are catastrophic and warned of, and scatter of those that are not
    catastrophic, by bins of S/N that hold at least ten objects."""

    error = relative_error(table)
    rows = []
    for low, high in itertools.pairwise(edges):
        here = (table["snr"] >= low) & (table["snr"] < high)
        found = error[here].abs() <= CATASTROPHIC
        if here.sum() >= 10:
            rows.append(
                {
                    "snr": table["snr"][here].median(),
                    "catastrophic": 1 - found.mean(),
                    "warned": (table["zwarning"][here] > 0).mean(),
                    "unwarned_catastrophic": (~found & (table["zwarning"][here] == 0)).mean(),
                    "scatter": scatter(error[here][found]),
                    "n": int(here.sum()),
                }
            )
    return pd.DataFrame(rows)


def _fraction(holds: pd.Series) -> dict[str, float]:
    """A fraction with its binomial standard error (Agresti & Coull 1998, Am. Stat. 52, 119)."""

    if holds.empty:
        return {}
    n, adjusted = len(holds), (holds.sum() + 2) / (len(holds) + 4)
    error = np.sqrt(adjusted * (1 - adjusted) / (n + 4))
    return {"value": float(holds.mean()), "uncertainty": float(error), "n": n}


def _scatter(values: pd.Series, draws: int = 200) -> dict[str, float]:
    """The scatter with its standard error by bootstrap."""

    values = values.dropna()
    if values.empty:
        return {}
    generator = np.random.default_rng(1)
    samples = [
        scatter(values.sample(frac=1, replace=True, random_state=generator)) for _ in range(draws)
    ]
    return {"value": scatter(values), "uncertainty": float(np.std(samples)), "n": len(values)}


def _crossing(values: pd.Series, limit: float) -> float:
    """Where values over a rising index first exceed a limit, between the logarithms of the index;
    NaN if they never do."""

    above = np.flatnonzero(values.to_numpy() > limit)
    if len(above) == 0 or above[0] < 2:
        return float("nan")
    last = above[0]
    pair = values.iloc[[last - 1, last]]
    return float(10 ** np.interp(limit, pair, np.log10(pair.index)))
