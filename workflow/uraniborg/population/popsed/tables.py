"""Tables of a population's fit: what they are made with, drawn from and judged by.

Sources are `recovered`, the population from photometry; `truth`, of simulated surveys all there is
and of real ones the spectroscopic redshifts; `prior`, what is assumed before any photometry, after
the survey's selection; `published`, fits of single galaxies.
"""

from collections.abc import Iterable

import pyarrow as pa

from uraniborg.tables import Column

__all__ = [
    "ABLATION_COLUMNS",
    "ABLATION_KINDS",
    "BAND_COLUMNS",
    "CONVERGENCE_COLUMNS",
    "DEFAULT",
    "LCURVE_COLUMNS",
    "MASS_FUNCTION",
    "PARAMETER_COLUMNS",
    "PHOTOMETRY_COLUMNS",
    "POPULATION_COLUMNS",
    "PUBLISHED",
    "SEQUENCE_COLUMNS",
    "STACK_COLUMNS",
    "galaxy_table_columns",
]

DEFAULT = "default"
"""Label of the fit as the workflow makes it."""

PUBLISHED = "published"
"""Label of the published recipe: flat box, distance alone, annealed noise."""

MASS_FUNCTION = "intrinsic_mass_function"
"""Quantity of `BAND_COLUMNS` that is of all galaxies, not only of the selected ones."""

ABLATION_KINDS = ("recipe", "distance", "size", "prior", "control")
"""What is varied, in the order in which it is shown."""

POPULATION_COLUMNS = (
    Column("source", pa.string(), "", "recovered, truth, prior or published"),
    Column("member", pa.int64(), "", "Member of the ensemble, -1 where there is none"),
    Column("z", pa.float32(), "", "Redshift"),
    Column("stellar_mass", pa.float32(), "dex(M_sun)", "log10 of the living stellar mass"),
    Column(
        "log_ssfr",
        pa.float32(),
        "dex(1 / yr)",
        "log10 of the star-formation rate of the last 100 Myr per living stellar mass",
    ),
    Column("log_metallicity", pa.float32(), "dex(Z_sun)", "log10 of the stellar metallicity"),
    Column("A_V", pa.float32(), "mag", "Attenuation of old stars in V"),
    Column("age", pa.float32(), "Gyr", "Mean age of stars, weighted by the mass formed"),
)
"""Selected galaxies of equal weight, some thousands of each source; NaN where not known."""

PHOTOMETRY_COLUMNS = (
    Column("source", pa.string(), "", "observed or recovered"),
    Column("galaxy", pa.int64(), "", "Number of the galaxy within its source"),
    Column("feature", pa.string(), "", "A band, as r, or a colour, as u - g"),
    Column("value", pa.float32(), "mag", "asinh magnitude or colour"),
)
"""Photometry of selected galaxies: the reference band first, then colours from blue to red."""

BAND_COLUMNS = (
    Column("quantity", pa.string(), "", f"z, stellar_mass or {MASS_FUNCTION}"),
    Column("low", pa.float64(), "", "Lower edge of the bin"),
    Column("high", pa.float64(), "", "Upper edge of the bin"),
    Column("median", pa.float64(), "", "Recovered density, median of the population posterior"),
    Column("low_68", pa.float64(), "", "Lower end of its 68% interval"),
    Column("high_68", pa.float64(), "", "Upper end of its 68% interval"),
    Column("low_95", pa.float64(), "", "Lower end of its 95% interval"),
    Column("high_95", pa.float64(), "", "Upper end of its 95% interval"),
    Column("truth", pa.float64(), "", "True density, NaN where not known"),
    Column("null", pa.float64(), "", "Density of the null without photometry, NaN if none"),
    Column("prior", pa.float64(), "", "Density of the prior after selection, NaN if none"),
    Column("neighbours", pa.float64(), "", "Density of supervised neighbours, NaN if none"),
)
"""Distributions in adjacent bins, with uncertainty.

Of `z` and `stellar_mass` per unit of the quantity, normalised to one, of selected galaxies; the
mass function, of all, is log10 of the number per dex over that above 10^9.6 M_sun.
"""

SEQUENCE_COLUMNS = (
    Column("source", pa.string(), "", "recovered, truth, prior or published"),
    Column("stellar_mass", pa.float64(), "dex(M_sun)", "Middle of the bin"),
    Column("log_sfr", pa.float64(), "dex(M_sun / yr)", "Median of star-forming galaxies"),
    Column("low", pa.float64(), "dex(M_sun / yr)", "Their 16th percentile"),
    Column("high", pa.float64(), "dex(M_sun / yr)", "Their 84th percentile"),
    Column("slope", pa.float64(), "", "Slope of the sequence, the same in all rows of a source"),
    Column("slope_error", pa.float64(), "", "Its standard error, NaN where there is none"),
    Column("scatter", pa.float64(), "dex", "Scatter about the sequence"),
    Column("scatter_error", pa.float64(), "dex", "Its standard error, NaN where there is none"),
    Column("n", pa.int64(), "", "Galaxies of the bin"),
)
"""The star-forming main sequence at z < 0.1 by source and bin of stellar mass."""

CONVERGENCE_COLUMNS = (
    Column("label", pa.string(), "", f"Which fit: {DEFAULT}, {PUBLISHED} or another"),
    Column("step", pa.int64(), "", "Epochs of training"),
    Column("drawn", pa.float64(), "", "Galaxies that the flow has drawn until then"),
    Column("distance", pa.float64(), "", "Distance of model and observed photometry"),
    Column("floor", pa.float64(), "", "The same distance of data against data"),
    Column("floor_spread", pa.float64(), "", "Standard deviation of the floor"),
    Column(
        "divergence",
        pa.float64(),
        "nat",
        "Of the population from the prior, of the published recipe from its box",
    ),
)
"""Fits as they proceed."""

ABLATION_COLUMNS = (
    Column("kind", pa.string(), "", f"What is varied: {', '.join(ABLATION_KINDS)}"),
    Column("label", pa.string(), "", "To what"),
    Column("n", pa.int64(), "", "Observed galaxies"),
    Column("drawn", pa.float64(), "", "Galaxies that a fit draws, NaN where nothing is fitted"),
    Column("distance", pa.float64(), "", "Distance of model and observed photometry, NaN if none"),
    Column("floor", pa.float64(), "", "The same distance of data against data"),
    Column("w1_z", pa.float64(), "", "W1 to the truth in redshift"),
    Column("w1_z_error", pa.float64(), "", "Scatter between seeds, NaN of one seed"),
    Column("w1_mass", pa.float64(), "dex", "W1 to the truth in stellar mass, NaN if not known"),
    Column("w1_mass_error", pa.float64(), "dex", "Scatter between seeds, NaN of one seed"),
    Column("seeds", pa.int64(), "", "Fits that the row is the mean of"),
)
"""What each choice is worth, one row per variant."""

STACK_COLUMNS = (
    Column("label", pa.string(), "", "Prior of the fits: prior, or flat prior"),
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("z", pa.float32(), "", "Redshift"),
    Column("stellar_mass", pa.float32(), "dex(M_sun)", "log10 of the living stellar mass"),
)
"""Posterior draws of galaxies that were fitted one by one, as many of each."""

LCURVE_COLUMNS = (
    Column("weight", pa.float64(), "", "Weight of the divergence from the prior in the loss"),
    Column("distance", pa.float64(), "", "Distance of model and observed photometry"),
    Column("floor", pa.float64(), "", "The same distance of data against data, mean"),
    Column("floor_spread", pa.float64(), "", "Standard deviation of the floor"),
    Column("divergence", pa.float64(), "nat", "Of the flow from the prior"),
    Column("chosen", pa.bool_(), "", "Whether this weight is used"),
)
"""How the weight of the prior is chosen: the largest that the photometry allows."""

PARAMETER_COLUMNS = (
    Column("parameter", pa.string(), "", "Name of the parameter"),
    Column("mean", pa.float64(), "", "Mean over the recovered population"),
    Column("mean_error", pa.float64(), "", "Its scatter over the members"),
    Column("spread", pa.float64(), "", "Standard deviation of the recovered population"),
    Column("truth_mean", pa.float64(), "", "True mean, NaN where not known"),
    Column("truth_spread", pa.float64(), "", "True standard deviation, NaN where not known"),
    Column("prior_mean", pa.float64(), "", "Mean under the prior after selection"),
    Column(
        "prior_pull", pa.float64(), "", "Shift from the smallest to the largest weight of the prior"
    ),
)
"""What is known of each parameter, in the parameter's unit; the pull is in standard deviations.

Where the pull is not small, the prior decides.
"""

_GALAXY = {
    "z": ("", "Redshift"),
    "stellar_mass": ("dex(M_sun)", "log10 of the living stellar mass"),
    "log_metallicity": ("dex(Z_sun)", "log10 of the stellar metallicity"),
    "A_V": ("mag", "Attenuation of old stars in V"),
    "birth_cloud_ratio": ("", "Further attenuation of young stars, over A_V"),
    "dust_slope": ("", "Deviation of the attenuation's power law from -0.7"),
    "log_sfr": ("dex(M_sun / yr)", "log10 of the star-formation rate of the last 100 Myr"),
    "log_ssfr": ("dex(1 / yr)", "The same per living stellar mass, at least -14"),
    "age": ("Gyr", "Mean age of stars, weighted by the mass formed"),
    "volume": ("Mpc3 / sr", "Comoving volume in which the survey would select the galaxy"),
}


def galaxy_table_columns(names: Iterable[str]) -> tuple[Column, ...]:
    """Columns of a table of galaxies that a population drew: parameters, history, features."""

    columns = []
    for name in names:
        if name in _GALAXY:
            unit, text = _GALAXY[name]
        elif name.startswith("history_"):
            unit, text = "", "Fraction of all stars formed in a component of the history"
        else:
            unit, text = "mag", "Magnitude or colour with the survey's noise"
        columns.append(Column(name, pa.float32(), unit, text))
    return tuple(columns)
