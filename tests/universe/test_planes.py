import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.figures.planes import planes
from uraniborg.tables import read_table
from uraniborg.universe.loci import demarcation, star_forming_sequence
from uraniborg.universe.planes import (
    PLANE_COLUMNS,
    bpt_plane,
    distance_to_sequence,
    distance_to_tracks,
    index_plane,
    read_line_fluxes,
    real_indices,
    summary,
    track_histories,
)


@pytest.fixture(scope="module")
def tracks(root):
    return read_table(root / "resources" / "index_tracks.parquet")


def lines(nitrogen, oxygen):
    nitrogen, oxygen = np.atleast_1d(nitrogen), np.atleast_1d(oxygen)
    one = np.ones(len(nitrogen))
    return {
        "H-alpha": 2.86 * one,
        "H-beta": one,
        "[N II]": 2.86 * 10**nitrogen,
        "[O III]": 10**oxygen,
    }


@given(st.floats(-2.0, -0.4))
def test_the_sequence_is_below_both_demarcations(nitrogen):
    nitrogen = np.array([nitrogen])
    sequence = star_forming_sequence(nitrogen)
    assert sequence < demarcation(nitrogen, "observed")
    assert sequence < demarcation(nitrogen, "theoretical")


def test_demarcations_are_the_published_ones():
    # Values read off the published equations.
    assert demarcation(np.array([-0.5]), "observed")[0] == pytest.approx(0.1909, abs=1e-4)
    assert demarcation(np.array([-0.5]), "theoretical")[0] == pytest.approx(0.5611, abs=1e-4)
    assert demarcation(np.array([0.1]), "observed")[0] == -np.inf


@given(st.floats(-2.0, -0.35), st.floats(-0.05, 0.05))
def test_distance_is_zero_on_the_sequence_and_never_above_the_vertical_one(nitrogen, offset):
    nitrogen = np.array([nitrogen])
    oxygen = star_forming_sequence(nitrogen)
    assert distance_to_sequence(nitrogen, oxygen)[0] < 2e-2
    assert distance_to_sequence(nitrogen, oxygen + offset)[0] <= abs(offset) + 2e-2


def test_tracks_are_those_of_ageing_stars(tracks):
    solar = tracks[tracks["log_metallicity"] == 0]
    burst = solar[solar["track"] == "burst"].set_index("parameter").sort_index()
    assert burst["d4000"].iloc[-1] > 2
    peak = burst["h_delta"].idxmax()
    # A-type stars dominate some hundred Myr after a burst.
    assert 8.2 < peak < 8.9
    assert burst["h_delta"].max() > 9
    continuous = solar[solar["track"] == "continuous"].sort_values("parameter")
    assert (continuous["d4000"].diff().dropna() > 0).all()
    assert len(tracks) == len(track_histories())


def test_points_on_a_track_have_no_distance_and_others_do(tracks):
    here = tracks[(tracks["track"] == "continuous") & (tracks["log_metallicity"] == 0)]
    position = here["d4000"].to_numpy(), here["h_delta"].to_numpy()
    assert distance_to_tracks(*position, tracks).max() < 0.05
    moved = distance_to_tracks(position[0], position[1] + 6, tracks)
    assert moved.min() > 1


def test_galaxies_without_a_line_or_an_index_are_left_out(tracks):
    values = lines([-0.5, -0.6], [-0.4, 0.1])
    values["[N II]"][0] = 0
    table = bpt_plane(values, sample="real")
    assert list(table.columns) == [column.name for column in PLANE_COLUMNS]
    assert table["x"].tolist() == pytest.approx([-0.6])
    nothing = index_plane(np.array([np.nan]), np.array([1.0]), tracks, sample="real")
    assert len(nothing) == 0


def test_errors_of_ratios_are_propagated():
    values = lines([-0.5], [0.0])
    errors = {name: 0.1 * value for name, value in values.items()}
    table = bpt_plane(values, errors, sample="real")
    assert table["x_error"][0] == pytest.approx(0.1 * np.sqrt(2) / np.log(10))


def test_indices_of_a_real_spectrum_fill_in_the_emission_line(tracks):
    wavelength = np.arange(3750.0, 6700.0, 1.0)
    flux = np.ones((1, len(wavelength)))
    ivar = np.full_like(flux, 1e4)
    flux[0] += 100 * np.exp(-0.5 * ((wavelength - 6564.6) / 3) ** 2) / (3 * np.sqrt(2 * np.pi))
    table = real_indices(wavelength, flux, ivar, tracks)
    assert table["y"][0] == pytest.approx(9.0, rel=0.02)
    assert len(real_indices(wavelength, flux, ivar * 1e-4, tracks)) == 0


def test_summary_judges_each_sample(tracks):
    nitrogen = np.linspace(-1.2, -0.4, 60)
    locus = star_forming_sequence(nitrogen)
    mass = {"stellar_mass": 9.2}
    track = tracks[tracks["track"] == "continuous"]
    indices = track["d4000"].to_numpy(), track["h_delta"].to_numpy()
    table = pd.concat(
        [
            bpt_plane(lines(nitrogen, locus), sample="simulated", kind="star-forming", **mass),
            bpt_plane(lines([0.1], [0.8]), sample="simulated", kind="agn", **mass),
            bpt_plane(lines([-0.4], [-0.6]), sample="agn off", kind="agn", **mass),
            bpt_plane(lines(nitrogen, locus + 0.5), sample="uncorrected", kind="star-forming"),
            bpt_plane(lines(nitrogen + 0.2, locus), sample="real", **mass),
            bpt_plane(lines(nitrogen + 0.6, locus), sample="shuffled", kind="star-forming", **mass),
            index_plane(*indices, tracks, sample="simulated", kind="quiescent"),
            index_plane(indices[0], indices[1][::-1], tracks, sample="shuffled"),
        ],
        ignore_index=True,
    )
    values = summary(table)
    assert values["bpt_sequence"] < 0.02 < 0.1 < values["bpt_sequence_control"]
    assert values["bpt_star_forming_below"] == 1
    assert values["bpt_agn_above"] == 1
    assert values["bpt_agn_above_control"] == 0
    assert values["bpt_nitrogen_by_mass"] == pytest.approx(0.2, abs=1e-6)
    assert values["bpt_nitrogen_by_mass_control"] == pytest.approx(0.4, abs=1e-6)
    assert values["indices_tracks"] < 0.1 < 1 < values["indices_tracks_control"]
    assert np.isnan(values["indices_tracks_real"])
    assert len(planes(table, tracks).axes) == 2


def test_faults_are_named(tmp_path):
    with pytest.raises(UserError, match="no table of line fluxes"):
        read_line_fluxes(tmp_path / "nothing.fits")


def test_real_star_forming_galaxies_follow_the_sequence(shared_data):
    path = shared_data / "photometry/mugdhapolimera__SDSS_spectra/RESOLVE_bpt1_filter.fits.gz"
    table = read_line_fluxes(path)
    assert len(table) > 900
    assert table["distance"].median() < 0.1
