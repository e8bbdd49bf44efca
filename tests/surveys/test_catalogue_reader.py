"""The reader of photometric catalogues, and the table that is made of them."""

import gzip
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from uraniborg.errors import UserError
from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.galactic_extinction import extinction_coefficients
from uraniborg.instruments.magnitudes import asinh_magnitude
from uraniborg.surveys.photometric_ingest import ingest_photometry
from uraniborg.surveys.readers.catalogue import (
    OBJECT_COLUMNS,
    Layout,
    read,
    table_columns,
)
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import Survey, load_surveys
from uraniborg.tables import read_table

N = 6
COLUMNS = {"object_id": "id", "ra": "ra", "dec": "dec", "z": "z", "ebv": "ebv"}
BANDS = {
    "sdss_g": {"flux": "g", "error": "g_err", "unit": "nanomaggies"},
    "sdss_r": {"flux": "r", "ivar": "r_ivar", "unit": "nanomaggies"},
}


def columns():
    return {
        "id": np.arange(100, 100 + N),
        "ra": np.linspace(10, 20, N),
        "dec": np.linspace(-5, 5, N),
        "z": np.linspace(0.01, 0.3, N),
        "ebv": np.linspace(0, 0.3, N),
        "g": np.linspace(5, 10, N),
        "g_err": np.full(N, 0.5),
        "r": np.linspace(10, 20, N),
        "r_ivar": np.full(N, 4.0),
    }


def layout(bands=None, instrument="sdss", **options):
    return Layout.of(instrument, {"columns": COLUMNS, **options, "bands": bands or BANDS})


def write(path, table=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Table(table or columns()).write(path, **options)
    return path


def reason(path, layout):
    with pytest.raises(UnreadableError) as error:
        read(path, layout)
    assert error.value.remedy
    return error.value.reason


FORMATS = {
    "a.fits": {},
    "a.csv": {"format": "ascii.csv"},
    "a.ecsv": {"format": "ascii.ecsv"},
    "a.txt": {"format": "ascii.basic"},
    "a.dat": {"format": "ascii.commented_header"},
    "a.vot": {"format": "votable"},
    "a.parquet": {},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_gives_the_same_objects(tmp_path, name, compressed):
    path = write(tmp_path / name, **FORMATS[name])
    if compressed:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    scalars, photometry, _ = read(path, layout())
    expected = columns()
    assert list(scalars["object_id"]) == [str(100 + row) for row in range(N)]
    for key in ("ra", "dec", "z", "ebv"):
        np.testing.assert_allclose(scalars[key], expected[key])
    assert np.isnan(scalars["z_err"]).all()
    np.testing.assert_allclose(photometry.flux[:, 1], expected["g"])
    np.testing.assert_allclose(photometry.ivar[:, 1:3], 4.0)
    # Bands that the file does not have were not observed.
    assert list(photometry.observed[0]) == [False, True, True, False, False]
    assert not photometry.flux[:, [0, 3, 4]].any()


def values_of(tmp_path, source, value, error, band="sdss_r", **options):
    """Flux and error in one band of one-column catalogues."""

    table = {"value": np.atleast_1d(value), "error": np.atleast_1d(error)}
    path = write(tmp_path / "one.ecsv", table, format="ascii.ecsv", overwrite=True)
    key = "magnitude" if "unit" not in source and "zero_point" not in source else "flux"
    bands = {band: {key: "value", "error": "error", **source}}
    instrument = band.split("_")[0]
    catalogue = read(path, Layout.of(instrument, {"bands": bands, **options}))
    index = [member.name for member in bands_of(instrument)].index(band)
    return [x[:, index] for x in catalogue.photometry]


@pytest.mark.parametrize(
    ("unit", "value"),
    [("nanomaggies", 100.0), ("uJy", 363.1), ("Jy", 363.1e-6), ("nJy", 363.1e3), ("mJy", 0.3631)],
)
def test_units_of_flux(tmp_path, unit, value):
    flux, ivar, *_ = values_of(tmp_path, {"unit": unit}, value, value / 10)
    assert flux[0] == pytest.approx(100)
    assert ivar[0] ** -0.5 == pytest.approx(10)


def test_counts_have_a_zero_point(tmp_path):
    flux, *_ = values_of(tmp_path, {"zero_point": 20.08}, 1.0, 0.1, band="galex_NUV")
    assert 22.5 - 2.5 * np.log10(flux[0]) == pytest.approx(20.08)


def test_magnitudes_are_put_on_the_system_of_ab(tmp_path):
    vega, *_ = values_of(tmp_path, {}, 14.0, 0.1, band="twomass_K")
    ab, ivar, *_ = values_of(tmp_path, {"system": "ab"}, 14.0, 0.1, band="twomass_K")
    assert 22.5 - 2.5 * np.log10(vega[0]) == pytest.approx(15.85)
    assert 22.5 - 2.5 * np.log10(ab[0]) == pytest.approx(14.0)
    assert 1 / (ab * np.sqrt(ivar))[0] == pytest.approx(0.0921, rel=1e-3)
    sdss, *_ = values_of(tmp_path, {}, 18.0, 0.1, band="sdss_u")
    assert 22.5 - 2.5 * np.log10(sdss[0]) == pytest.approx(17.96)
    flux, *_ = values_of(tmp_path, {"unit": "nanomaggies"}, 100.0, 1.0, band="sdss_u")
    assert 22.5 - 2.5 * np.log10(flux[0]) == pytest.approx(17.46)


def test_asinh_magnitudes_may_have_negative_fluxes(tmp_path):
    flux = np.array([-0.3, 0.0, 2.0, 500.0])
    magnitude, error = asinh_magnitude(flux, np.full(4, 25.0), 1.2e-10)
    back, ivar, *_ = values_of(tmp_path, {"magnitudes": "asinh"}, magnitude, error)
    np.testing.assert_allclose(back, flux, atol=1e-9)
    np.testing.assert_allclose(ivar, 25.0)


def test_missing_values_are_told_apart(tmp_path):
    source = {"zero_point": 20.08, "not_observed": [0], "not_detected": [-99]}
    value = np.array([1.0, 0.0, -99.0, np.nan, 1.0, 1.0, -99.0])
    error = np.array([0.1, 0.0, -99.0, 0.1, 0.0, -1.0, 0.2])
    flux, ivar, limit, observed, detected = values_of(
        tmp_path, source, value, error, band="galex_NUV"
    )
    assert list(ivar > 0) == [True, *6 * [False]]
    assert list(observed) == [True, False, True, False, False, False, True]
    assert list(detected) == [True, *6 * [False]]
    assert list(np.isfinite(limit)) == [False, False, True, False, False, False, True]
    # The depth of the survey, where the catalogue gives no limit.
    assert limit[2] == pytest.approx(10 ** (0.4 * (22.5 - 20.8)))
    assert not flux[1:].any()
    *_, limit, _, _ = values_of(tmp_path, {**source, "limit": 0.5}, value, error, band="galex_NUV")
    assert limit[2] == pytest.approx(0.5 * 10 ** (0.4 * (22.5 - 20.08)))


def test_masked_values_are_missing(tmp_path):
    table = columns()
    table["r"] = MaskedColumn(table["r"], mask=[True, *(N - 1) * [False]])
    photometry = read(write(tmp_path / "a.fits", table), layout()).photometry
    assert list(photometry.observed[:, 2]) == [False, *(N - 1) * [True]]


def test_galactic_extinction_is_corrected_once(tmp_path):
    path = write(tmp_path / "a.fits")
    raw, corrected = (
        read(path, layout(galactic_extinction=x)).photometry for x in ("keep", "correct")
    )
    dimming = 10 ** (-0.4 * columns()["ebv"] * extinction_coefficients(["sdss_r0"])[0])
    np.testing.assert_allclose(corrected.flux[:, 2] * dimming, raw.flux[:, 2])
    np.testing.assert_allclose(corrected.ivar[:, 2] / dimming**2, raw.ivar[:, 2])
    with pytest.raises(UserError, match="ebv"):
        Layout.of("sdss", {"bands": BANDS, "galactic_extinction": "correct"})


def test_elements_of_vectors_and_scaled_columns(tmp_path):
    table = columns()
    table["FLUX"] = np.stack([table["g"], table["r"]], axis=1)
    path = write(tmp_path / "a.fits", table)
    bands = {"sdss_r": {"flux": "FLUX[1]", "ivar": "r_ivar", "unit": "nanomaggies"}}
    scaled = Layout.of(
        "sdss", {"bands": bands, "columns": {"ebv": {"column": "ebv", "scale": 0.5}}}
    )
    scalars, photometry, _ = read(path, scaled)
    np.testing.assert_allclose(photometry.flux[:, 2], table["r"])
    np.testing.assert_allclose(scalars["ebv"], 0.5 * table["ebv"])
    assert scalars["object_id"][1] == "a-00000001"
    vector = {"sdss_r": {**bands["sdss_r"], "flux": "FLUX"}}
    assert "vectors" in reason(path, layout(vector))
    beyond = {"sdss_r": {**bands["sdss_r"], "flux": "FLUX[2]"}}
    assert "FLUX[2]" in reason(path, layout(beyond))


def test_units_that_the_file_states_are_checked(tmp_path):
    table = Table(columns())
    table["r"].unit = u.uJy
    path = tmp_path / "a.fits"
    table.write(path)
    assert "uJy" in reason(path, layout())
    stated = {"sdss_r": {**BANDS["sdss_r"], "unit": "uJy"}}
    assert read(path, layout(stated)).photometry.flux[0, 2] == pytest.approx(10 / 3.631)
    table["g"].unit = u.Jy
    table.write(path, overwrite=True)
    assert "magnitudes" in reason(path, layout({"sdss_g": {"magnitude": "g", "error": "g_err"}}))


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ({"sdss_x": BANDS["sdss_g"]}, "sdss_x"),
        ({"sdss_g": {"flux": "g", "unit": "Jy"}}, "ivar"),
        ({"sdss_g": {"flux": "g", "magnitude": "g", "error": "e"}}, "magnitude"),
        ({"sdss_g": {"flux": "g", "error": "e"}}, "zero_point"),
    ],
)
def test_contradictory_layouts_are_refused(bands, message):
    with pytest.raises(UserError, match=message):
        layout(bands)


def test_nonsense_units_are_refused(tmp_path):
    path = write(tmp_path / "a.fits")
    with pytest.raises(UserError, match="flux density"):
        read(path, layout({"sdss_g": {**BANDS["sdss_g"], "unit": "km"}}))


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("keep", [0, 0.05, 0.5])
def test_truncated_files_are_refused(tmp_path, name, keep):
    path = write(tmp_path / name, **FORMATS[name])
    content = gzip.compress(path.read_bytes())
    short = tmp_path / f"{name}.gz"
    short.write_bytes(content[: int(keep * len(content))])
    assert reason(short, layout())


@pytest.mark.parametrize("name", ["a.fits", "a.vot", "a.parquet"])
def test_truncated_plain_files_are_refused(tmp_path, name):
    path = write(tmp_path / name, **FORMATS[name])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason(path, layout())


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    table = columns()
    del table["r"]
    assert "has no column r " in reason(write(tmp_path / "a.fits", table), layout())
    table = columns()
    table["r"] = np.full(N, "bright")
    assert "text in column r" in reason(write(tmp_path / "b.fits", table), layout())
    empty = {name: values[:0] for name, values in columns().items()}
    assert "no row" in reason(write(tmp_path / "c.fits", empty), layout())
    rows = tmp_path / "d.txt"
    rows.write_text("# a b c\n1 2 3 4\n1 2 3 4\n")
    assert "number of columns" in reason(rows, layout())


def ingest(tmp_path, files, selection=None, name="mine", **options):
    table, quarantine = tmp_path / "table.parquet", tmp_path / "quarantine.parquet"
    files = {path.name: path for path in files}
    read_as = layout(**options)
    catalogue = {
        "bands": read_as.sources,
        "columns": read_as.columns,
        "extra": read_as.extra,
        "galactic_extinction": read_as.galactic_extinction,
        "format": read_as.format,
        "names": list(read_as.names),
    }
    survey = Survey(
        name=name,
        description="",
        kind="photometry",
        instrument="sdss",
        source="files",
        catalogue=catalogue,
        selection=selection or {},
    )
    ingest_photometry(survey, files, table, quarantine)
    return read_table(table), read_table(quarantine)


def test_the_table_has_the_declared_columns(tmp_path):
    table, quarantine = ingest(tmp_path, [write(tmp_path / "a.fits")])
    assert list(table.columns) == [column.name for column in table_columns(bands_of("sdss"))]
    assert list(table.columns)[: len(OBJECT_COLUMNS)] == [c.name for c in OBJECT_COLUMNS]
    assert len(table) == N
    assert len(quarantine) == 0
    assert Table.read(tmp_path / "table.parquet")["ra"].unit == u.deg


def test_bad_objects_are_set_aside_with_reasons(tmp_path):
    table = columns()
    table["ra"][0] = np.nan
    table["g_err"][1], table["r_ivar"][1] = 0, 0
    table["ebv"][2] = np.nan
    table["id"][4] = table["id"][3]
    kept, quarantine = ingest(
        tmp_path,
        [write(tmp_path / "a.fits", table)],
        {"z_max": 0.25},
        galactic_extinction="correct",
    )
    assert list(kept["object_id"]) == ["103"]
    reasons = dict(zip(quarantine["object_id"], quarantine["reason"], strict=True))
    assert "position" in reasons["100"]
    assert "no band" in reasons["101"]
    assert "reddening" in reasons["102"]
    assert reasons["105"] == "selection: z above 0.25"
    assert quarantine["reason"].str.contains("duplicate").sum() == 1
    assert quarantine["remedy"].str.len().min() > 0


def test_a_bad_file_is_set_aside_and_the_rest_is_read(tmp_path):
    broken = tmp_path / "b.fits"
    broken.write_bytes(b"nothing")
    table, quarantine = ingest(tmp_path, [write(tmp_path / "a.fits"), broken])
    assert len(table) == N
    assert list(quarantine["source"]) == ["b.fits"]


def test_nothing_left_is_one_clear_error(tmp_path):
    path = write(tmp_path / "a.fits")
    with pytest.raises(
        UserError, match=r"mine: no object is left of a.fits \(selection: z above 0.001: 6"
    ):
        ingest(tmp_path, [path], {"z_max": 0.001})
    with pytest.raises(UserError, match="no such file"):
        ingest(tmp_path, [tmp_path / "absent.fits"])
    with pytest.raises(UserError, match="sdss_x"):
        ingest(tmp_path, [path], {"magnitude_max": {"sdss_x": 17}})
    assert not (tmp_path / "table.parquet").exists()


def test_faint_objects_are_left_out(tmp_path):
    faintest = 22.5 - 2.5 * np.log10(15.0)
    table, quarantine = ingest(
        tmp_path, [write(tmp_path / "a.fits")], {"magnitude_max": {"sdss_r": faintest}}
    )
    assert (table["sdss_r_flux"] >= 15).all()
    assert len(table) + len(quarantine) == N


def test_extra_columns_are_kept(tmp_path):
    table = columns()
    table["mass"] = np.append(np.linspace(9, 11, N - 1), np.nan)
    extra = {"log_mass": {"column": "mass", "scale": 2}}
    kept, _ = ingest(tmp_path, [write(tmp_path / "a.fits", table)], extra=extra)
    np.testing.assert_allclose(kept["log_mass"], 2 * table["mass"])
    with pytest.raises(UserError, match="ebv is the name of another column"):
        layout(extra={"ebv": "mass"})


def test_a_catalogue_of_ones_own_with_values_missing(tmp_path):
    rows = ["id,z,u,u_err,g,g_err,r,r_err", "a,0.1,,,18.2,0.02,17.5,0.01", "b,,19,0.1,18,0.02,-99,"]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows) + "\n")
    bands = {
        f"sdss_{x}": {"magnitude": x, "error": f"{x}_err", "system": "ab", "not_observed": [-99]}
        for x in "ugr"
    }
    table, quarantine = ingest(tmp_path, [path], bands=bands, columns={"object_id": "id", "z": "z"})
    assert len(quarantine) == 0
    assert list(table["object_id"]) == ["a", "b"]
    observed = table[[f"sdss_{x}_observed" for x in "ugriz"]].to_numpy()
    assert observed.tolist() == [
        [False, True, True, False, False],
        [True, True, False, False, False],
    ]
    assert list(np.isfinite(table["z"])) == [True, False]
    assert table["sdss_g_flux"].iloc[1] == pytest.approx(10 ** (0.4 * 4.5))


def real(root, shared_data, name, tmp_path, **changes):
    survey = load_surveys(root / "config" / "surveys", {name: {"catalogue": changes}})[name]
    files = {path.name: path for pattern in survey.patterns for path in shared_data.glob(pattern)}
    path, quarantine = tmp_path / "table.parquet", tmp_path / "quarantine.parquet"
    ingest_photometry(survey, files, path, quarantine)
    return read_table(path)


def magnitude(table, band):
    return 22.5 - 2.5 * np.log10(table.loc[table[f"{band}_ivar"] > 0, f"{band}_flux"])


def test_real_galex_sdss_twomass(root, shared_data, tmp_path):
    table = real(root, shared_data, "galex_sdss_twomass", tmp_path)
    assert len(table) == 10_000
    measured = {band: int((table[f"{band}_ivar"] > 0).sum()) for band in ("galex_FUV", "galex_NUV")}
    assert measured == {"galex_FUV": 530, "galex_NUV": 774}
    # Where one band of GALEX has a galaxy, the other one has looked, too.
    assert (table["galex_FUV_observed"] == table["galex_NUV_observed"]).all()
    assert np.isfinite(table["galex_FUV_limit"]).sum() == 814 - 530
    assert (table["twomass_H_ivar"] > 0).sum() == 9_285
    # Red galaxies in AB, where an error of the Vega system would be 0.5 to 0.9 mag.
    red = table[table["sdss_g_flux"] * 2 < table["sdss_r_flux"]]
    colour = {
        name: (magnitude(red, first) - magnitude(red, second)).median()
        for name, first, second in (
            ("r - J", "sdss_r", "twomass_J"),
            ("J - K", "twomass_J", "twomass_K"),
        )
    }
    assert colour == {
        "r - J": pytest.approx(1.0, abs=0.25),
        "J - K": pytest.approx(0.25, abs=0.2),
    }
    raw = real(root, shared_data, "galex_sdss_twomass", tmp_path, galactic_extinction="keep")
    dimming = magnitude(raw, "sdss_r") - magnitude(table, "sdss_r")
    np.testing.assert_allclose(dimming, 2.285 * table["ebv"], atol=2e-5)


def test_real_sdss_main(root, shared_data, tmp_path):
    table = real(root, shared_data, "sdss_main", tmp_path)
    assert len(table) == 5_000
    assert table["ra"].isna().all()
    assert (table["z"] > 0).all()
    assert magnitude(table, "sdss_r").max() < 17.9
    # The columns of errors are not shifted: u has the largest by far, then z.
    error = {
        b: np.median(table[f"sdss_{b}_flux"] * table[f"sdss_{b}_ivar"] ** 0.5) for b in "ugriz"
    }
    assert error["u"] < error["z"] < error["g"] < error["r"]
