"""Comparisons of catalogues: what passes, what has to fail, what is left out."""

import gzip

import numpy as np
import pandas as pd
import pytest

from uraniborg.errors import UserError
from uraniborg.population.comparison import compare
from uraniborg.population.samples import (
    OBJECT_COLUMNS,
    SUMMARY_COLUMNS,
    features,
    halves,
    objects,
)
from uraniborg.tables import write_table


def galaxies(seed, n=1000):
    """Galaxies along a sequence of colour that reddens with redshift, with little scatter."""

    random = np.random.default_rng(seed)
    z = 0.3 * random.random(n) ** 0.5
    age = 0.2 * random.random(n)
    magnitudes = 17 + np.outer(age + 3 * z, [2.0, 1.0, 0.0, -0.4, -0.7])
    return magnitudes + 0.02 * random.normal(size=(n, 5)), z


def photometry(magnitudes, z):
    """A survey's table of such galaxies."""

    flux = 10 ** (0.4 * (22.5 - magnitudes))
    columns = {f"sdss_{band}_flux": flux[:, i] for i, band in enumerate("ugriz")}
    columns |= {f"sdss_{band}_ivar": 1.0 for band in "ugriz"}
    return pd.DataFrame({"z": z, **columns})


def table(seed, name="real", n=1000):
    return objects(photometry(*galaxies(seed, n)), "toy", name)


@pytest.fixture(scope="module")
def summary():
    good = table(3, "simulated")
    shuffled = good.assign(z=np.random.default_rng(0).permutation(good["z"]))
    red = good.assign(g_r=good["g_r"] + 0.3)
    samples = {"simulated": good, "redshifts shuffled": shuffled, "red": red}
    return compare(table(1), table(2), samples, "toy", projections=50).set_index("sample")


def test_a_perfect_simulation_is_at_the_floor(summary):
    for name in ("fitting half", "simulated"):
        assert 0.5 < summary.loc[name, "ratio"] < 2
        assert abs(summary.loc[name, "auc"] - 0.5) < 4 * summary.loc[name, "auc_error"]


def test_the_controls_fail(summary):
    controls = summary.loc[["redshifts shuffled", "red"]]
    assert (controls["ratio"] > 5).all()
    assert (controls["auc"] > 0.85).all()
    assert summary.loc["red", "importance_g_r"] > 0.1


def test_the_tables_have_their_columns(summary, tmp_path):
    write_table(tmp_path / "summary.parquet", summary.reset_index(), SUMMARY_COLUMNS)
    write_table(tmp_path / "objects.parquet", table(0), OBJECT_COLUMNS)


def test_colours_are_differences_of_neighbouring_bands():
    magnitudes, z = galaxies(0)
    built = objects(photometry(magnitudes, z), "toy", "real")
    for name, first in (("u_g", 0), ("i_z", 3)):
        # Asinh magnitudes of bright objects are all but Pogson's.
        colour = magnitudes[:, first] - magnitudes[:, first + 1]
        assert built[name].to_numpy() == pytest.approx(colour, abs=1e-3)
    assert features(built)[:, 4] == pytest.approx(z)


def test_objects_without_all_features_are_left_out_and_counted():
    incomplete = table(3)
    incomplete.loc[:49, "u_g"] = np.nan
    incomplete.loc[50:59, "u_g"] = np.inf
    result = compare(table(1), table(2), {"simulated": incomplete}, "toy", projections=10)
    assert result["dropped"].tolist() == [0, 60]
    assert result["n"].tolist() == [940, 940]


def test_too_small_a_sample_is_an_error_that_names_it():
    with pytest.raises(UserError, match="'simulated' has 30 objects"):
        compare(table(1), table(2), {"simulated": table(3, n=30)}, "toy")


def test_halves_do_not_depend_on_order_or_company():
    names = [f"object {i}" for i in range(4000)]
    half = halves(names)
    assert half.mean() == pytest.approx(0.5, abs=0.03)
    assert halves(names[::-1]).tolist() == half[::-1].tolist()
    assert halves(names[100:200]).tolist() == half[100:200].tolist()
    # Another seed is another division, not the same or its opposite.
    assert (halves(names, seed=1) == half).mean() == pytest.approx(0.5, abs=0.03)


def test_the_halves_of_a_real_catalogue_are_alike_and_shuffled_redshifts_are_not(shared_data):
    path = shared_data / "photometry" / "mgckind__MLZ" / "SDSS_MGS.train.gz"
    with gzip.open(path) as file:
        columns = np.loadtxt(file)
    real = objects(photometry(columns[:, 1:6], columns[:, 0]), "sdss_main", "real")
    half = halves(map(str, range(len(real))))
    shuffled = real[half].assign(z=np.random.default_rng(0).permutation(real.loc[half, "z"]))
    fitting, judging = real[half], real[~half]
    result = compare(fitting, judging, {"shuffled": shuffled}, "sdss_main", projections=50)
    assert result["ratio"].iloc[0] < 2
    assert result["ratio"].iloc[1] > 5
    assert result["auc"].iloc[0] < 0.53
    assert result["auc"].iloc[1] > 0.7
