"""The reader of DESI coadds, on small files of their layout."""

import contextlib
import gzip

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uraniborg.errors import UserError
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.settings import read_yaml
from uraniborg.surveys.ingest import ingest
from uraniborg.surveys.matching import matching_files
from uraniborg.surveys.readers import desi
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import Survey, load_surveys
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, read_table

GRID = observed_grid("desi")
# Pixels of the grid; neighbours overlap, as those of the real arms do.
ARMS = {"B": np.arange(0, 30), "R": np.arange(25, 60), "Z": np.arange(50, 90)}
UNIT = "10**-17 erg/(s cm2 Angstrom)"
TARGETID = np.array([39633559463397282, -1695072, 39627866878511337])
REDSHIFTS = {
    "TARGETID": TARGETID,
    "Z": np.array([0.1, 0.2, 0.3]),
    "ZERR": np.array([1e-5, 2e-5, 3e-5]),
    "ZWARN": np.array([0, 4, 0]),
    "SPECTYPE": np.array(["GALAXY", "GALAXY", "QSO"]),
    "SUBTYPE": np.array(["", "", "HIZ"]),
    "DELTACHI2": np.array([100.0, 5.0, 50.0]),
}


def table(columns, name):
    formats = {"f": "D", "i": "K", "U": "20A"}
    columns = {key: np.asarray(values) for key, values in columns.items() if values is not None}
    return fits.BinTableHDU.from_columns(
        [fits.Column(key, formats[x.dtype.kind], array=x) for key, x in columns.items()],
        name=name,
    )


def write_coadd(path, rows=3, arms=ARMS, images=None, unit=UNIT, leave_out=(), **fibermap):
    """Writes a coadd; `images` replaces extensions by name, `fibermap` columns (None: no such)."""

    images = images or {}
    columns = {
        "TARGETID": np.resize(TARGETID, rows),
        "TARGET_RA": np.linspace(10, 20, rows),
        "TARGET_DEC": np.linspace(-5, 5, rows),
        "COADD_FIBERSTATUS": np.zeros(rows, np.int64),
        "OBJTYPE": np.full(rows, "TGT"),
    }
    hdus = [fits.PrimaryHDU(), table({**columns, **fibermap}, "FIBERMAP")]
    for name, pixel in arms.items():
        shape = rows, len(pixel)
        arm = {
            "WAVELENGTH": GRID.wavelength[pixel],
            "FLUX": np.full(shape, 2, np.float32),
            "IVAR": np.full(shape, 4, np.float32),
            "MASK": np.zeros(shape, np.uint32),
        }
        for part, default in arm.items():
            hdu = fits.ImageHDU(images.get(f"{name}_{part}", default), name=f"{name}_{part}")
            if part == "FLUX":
                hdu.header["BUNIT"] = unit
            hdus.append(hdu)
        if f"{name}_RESOLUTION" in images:
            hdus.append(fits.ImageHDU(images[f"{name}_RESOLUTION"], name=f"{name}_RESOLUTION"))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([hdu for hdu in hdus if hdu.name not in leave_out]).writeto(path, overwrite=True)
    return path


def write_redshifts(path, name="REDSHIFTS", **columns):
    fits.HDUList([fits.PrimaryHDU(), table({**REDSHIFTS, **columns}, name)]).writeto(path)
    return path


def read(path, **options):
    (observations,) = desi.read(path, **options)
    return observations


def reason(path, function=desi.read):
    with pytest.raises(UnreadableError) as error:
        list(function(path))
    assert error.value.remedy.endswith(".")
    return error.value.reason


# Spectra


def test_arms_are_merged_where_their_pixels_are(tmp_path):
    images = {
        "B_FLUX": np.full((3, 30), 1, np.float32),
        "R_FLUX": np.full((3, 35), 4, np.float32),
        "R_IVAR": np.full((3, 35), 8, np.float32),
    }
    observations = read(write_coadd(tmp_path / "coadd-1.fits", images=images))
    assert observations.flux.shape == (3, GRID.size)
    assert np.array_equal(observations.wavelength[0], GRID.wavelength)
    assert (observations.flux[:, :25] == 1).all()
    assert (observations.ivar[:, :25] == 4).all()
    assert (observations.flux[:, 25:30] == (4 * 1 + 8 * 4) / 12).all()
    assert (observations.ivar[:, 25:30] == 12).all()
    assert (observations.flux[:, 60:90] == 2).all()
    assert not observations.flux[:, 90:].any()
    assert not observations.ivar[:, 90:].any()


VALUES = st.one_of(st.floats(-100, 100, width=32), st.sampled_from([np.nan, np.inf]))
WEIGHTS = st.one_of(st.floats(0, 100, width=32), st.sampled_from([np.nan, np.inf, -1.0]))


@settings(max_examples=40)
@given(st.data())
def test_a_merged_pixel_is_the_weighted_mean_of_the_good_ones(tmp_path_factory, data):
    arms = {"B": np.arange(0, 4), "R": np.arange(2, 7), "Z": np.arange(5, 8)}
    images = {}
    for name, pixel in arms.items():
        shape = 1, len(pixel)
        images[f"{name}_FLUX"] = data.draw(arrays(np.float32, shape, elements=VALUES))
        images[f"{name}_IVAR"] = data.draw(arrays(np.float32, shape, elements=WEIGHTS))
        masks = st.sampled_from([0, 0, 0, 1, 1 << 10, 1 << 31])
        images[f"{name}_MASK"] = data.draw(arrays(np.uint32, shape, elements=masks))
    path = write_coadd(
        tmp_path_factory.mktemp("merged") / "coadd-1.fits", rows=1, arms=arms, images=images
    )
    observations = read(path)
    for at in range(8):
        pairs = []
        for name, pixel in arms.items():
            if at in pixel:
                part = ("FLUX", "IVAR", "MASK")
                flux, ivar, mask = (images[f"{name}_{x}"][0, at - pixel[0]] for x in part)
                if mask == 0 and np.isfinite(flux) and np.isfinite(ivar) and ivar > 0:
                    pairs.append((float(flux), float(ivar)))
        weight = sum(ivar for _, ivar in pairs)
        mean = sum(flux * ivar for flux, ivar in pairs) / weight if weight else 0
        assert observations.ivar[0, at] == pytest.approx(weight, rel=1e-6)
        assert observations.flux[0, at] == pytest.approx(mean, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("bit", range(11))
def test_every_bit_of_the_mask_rejects_a_pixel(tmp_path, bit):
    mask = np.zeros((3, 30), np.uint32)
    mask[1, 7] = 1 << bit
    observations = read(write_coadd(tmp_path / "coadd-1.fits", images={"B_MASK": mask}))
    assert observations.ivar[1, 7] == 0
    assert (observations.ivar[:, :90] > 0).sum() == 3 * 90 - 1


def test_a_coadd_without_masks_has_only_good_pixels(tmp_path):
    leave_out = [f"{arm}_MASK" for arm in ARMS]
    observations = read(write_coadd(tmp_path / "coadd-1.fits", leave_out=leave_out))
    assert (observations.ivar[:, :90] > 0).all()


def test_arms_that_were_merged_before_are_read(tmp_path):
    arms = {"BRZ": np.arange(90)}
    observations = read(write_coadd(tmp_path / "coadd-1.fits", arms=arms))
    assert (observations.flux[:, :90] == 2).all()
    assert (observations.ivar[:, :90] == 4).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_parts_are_those_of_the_whole(tmp_path, rows):
    flux = np.arange(90, dtype=np.float32).reshape(3, 30)
    path = write_coadd(tmp_path / "coadd-1.fits", images={"B_FLUX": flux})
    parts, whole = list(desi.read(path, rows=rows)), read(path)
    assert max(len(part.flux) for part in parts) == min(rows, 3)
    assert np.array_equal(np.concatenate([part.flux for part in parts]), whole.flux)
    for name, values in whole.scalars.items():
        joined = np.concatenate([part.scalars[name] for part in parts])
        np.testing.assert_array_equal(joined, values)


def test_no_part_is_large(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", rows=300, arms={"BRZ": np.arange(5)})
    assert [len(part.flux) for part in desi.read(path)] == [256, 44]


def test_a_compressed_file_is_the_same(tmp_path):
    plain = write_coadd(tmp_path / "coadd-1.fits")
    packed = tmp_path / "packed/coadd-1.fits.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(read(plain).flux, read(packed).flux)


# Objects


def test_what_is_known_of_an_object_is_found_by_its_identifier(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", TARGETID=TARGETID[[2, 0, 1]])
    write_redshifts(tmp_path / "redrock-1.fits")
    scalars = read(path).scalars
    assert list(scalars["object_id"]) == ["39627866878511337", "39633559463397282", "-1695072"]
    assert list(scalars["ra"]) == [10, 15, 20]
    assert list(scalars["dec"]) == [-5, 0, 5]
    assert list(scalars["z"]) == [0.3, 0.1, 0.2]
    assert list(scalars["z_err"]) == [3e-5, 1e-5, 2e-5]
    assert list(scalars["zwarning"]) == [0, 0, 4]
    assert list(scalars["spectype"]) == ["QSO", "GALAXY", "GALAXY"]
    assert list(scalars["subclass"]) == ["HIZ", "", ""]
    assert list(scalars["deltachi2"]) == [50, 100, 5]
    assert list(scalars["fiberstatus"]) == [0, 0, 0]


@pytest.mark.parametrize(
    ("coadd", "beside", "name"),
    [
        ("coadd-sv3-bright-26065.fits", "redrock-sv3-bright-26065.fits", "REDSHIFTS"),
        ("coadd-66003-20200315.fits", "zbest-66003-20200315.fits", "ZBEST"),
        ("coadd-1.fits.gz", "redrock-1.fits", "REDSHIFTS"),
        ("coadd-1.fits", "zbest-1.fits.gz", "ZBEST"),
    ],
)
def test_the_redshift_file_lies_beside_the_coadd(tmp_path, coadd, beside, name):
    write_coadd(tmp_path / coadd)
    write_redshifts(tmp_path / beside, name)
    write_redshifts(tmp_path / "redrock-2.fits", Z=np.full(3, 9.0))
    assert list(read(tmp_path / coadd).scalars["z"]) == [0.1, 0.2, 0.3]
    # Listed among a survey's files, it yields nothing of its own.
    assert list(desi.read(tmp_path / beside)) == []


def test_objects_without_a_redshift_have_none(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits")
    scalars = read(path).scalars
    assert np.isnan(scalars["z"]).all()
    assert np.isnan(scalars["z_err"]).all()
    assert np.isnan(scalars["deltachi2"]).all()
    assert list(scalars["zwarning"]) == [0, 0, 0]
    assert list(scalars["spectype"]) == ["", "", ""]
    # A redshift file that lacks one of the objects, and an optional column.
    others = TARGETID + np.array([0, 0, 1])
    write_redshifts(tmp_path / "redrock-1.fits", TARGETID=others, DELTACHI2=None)
    scalars = read(path).scalars
    np.testing.assert_array_equal(scalars["z"], [0.1, 0.2, np.nan])
    assert list(scalars["spectype"]) == ["GALAXY", "GALAXY", ""]
    assert np.isnan(scalars["deltachi2"]).all()


def test_a_sky_fibre_is_called_sky_whatever_the_fit_says(tmp_path):
    write_redshifts(tmp_path / "redrock-1.fits")
    path = write_coadd(tmp_path / "coadd-1.fits", OBJTYPE=np.array(["TGT", "SKY", "TGT"]))
    assert list(read(path).scalars["spectype"]) == ["GALAXY", "SKY", "QSO"]


def test_a_fibre_map_may_hold_identifiers_only(tmp_path):
    names = ("TARGET_RA", "TARGET_DEC", "COADD_FIBERSTATUS", "OBJTYPE")
    path = write_coadd(tmp_path / "coadd-1.fits", **dict.fromkeys(names))
    scalars = read(path).scalars
    assert np.isnan([scalars["ra"], scalars["dec"]]).all()
    assert list(scalars["fiberstatus"]) == [0, 0, 0]
    assert list(scalars["target"]) == ["", "", ""]


@pytest.mark.parametrize("phase", ["", "SV1_", "SV2_", "SV3_"])
def test_target_bits_are_those_of_each_object(tmp_path, phase):
    columns = {
        phase + "DESI_TARGET": [1 | 1 << 60, 1 << 1 | 1 << 62, 1 << 34 | 1 << 61],
        phase + "BGS_TARGET": [1 << 1 | 1 << 9, 0, 0],
        phase + "MWS_TARGET": [0, 0, 1 << 8],
    }
    path = write_coadd(tmp_path / "coadd-1.fits", **columns)
    assert list(read(path).scalars["target"]) == ["BGS BGS_BRIGHT LRG", "ELG SECONDARY",
                                                  "MWS STANDARD"]  # fmt: skip


def test_a_target_of_any_phase_is_one(tmp_path):
    path = write_coadd(
        tmp_path / "coadd-1.fits", SV3_BGS_TARGET=[1, 0, 0], BGS_TARGET=[0, 1 << 1, 0]
    )
    assert list(read(path).scalars["target"]) == ["BGS BGS_FAINT", "BGS BGS_BRIGHT", ""]


def test_the_schema_knows_every_target(root):
    schema = read_yaml(root / "workflow/schemas/survey.schema.yaml")
    selection = schema["properties"]["selection"]["properties"]
    assert selection["target"]["items"]["enum"] == list(desi.TARGETS)


# Selection


def survey(**changes):
    keys = {"name": "mine", "description": "", "kind": "spectra", "instrument": "desi"}
    return Survey(**{**keys, "source": "files", "reader": "desi", **changes})


def ingested(files, folder, **changes):
    folder.mkdir(exist_ok=True)
    shard, quarantine = folder / "0000.arrow", folder / "0000.parquet"
    ingest(survey(**changes), {path.name: path for path in files}, shard, quarantine)
    return Spectra(shard), read_table(quarantine)


def test_the_bright_galaxy_cut_tests_each_object(tmp_path):
    # Of three galaxies that differ in nothing else, only targets of the survey are kept.
    path = write_coadd(tmp_path / "coadd-1.fits", SV3_BGS_TARGET=[0, 1 << 1, 0],
                       BGS_TARGET=[0, 0, 1 << 16])  # fmt: skip
    write_redshifts(
        tmp_path / "redrock-1.fits", ZWARN=np.zeros(3, int), SPECTYPE=np.full(3, "GALAXY")
    )
    spectra, quarantine = ingested([path], tmp_path / "a", selection={"target": ["BGS"]})
    assert list(spectra.scalars["object_id"]) == list(TARGETID[1:].astype(str))
    assert list(quarantine["object_id"]) == [str(TARGETID[0])]
    assert list(quarantine["reason"]) == ["selection: no target of BGS"]
    spectra, _ = ingested([path], tmp_path / "b", selection={"target": ["BGS_BRIGHT"]})
    assert list(spectra.scalars["object_id"]) == [str(TARGETID[1])]
    spectra, _ = ingested([path], tmp_path / "c", selection={"target": ["MWS", "LRG"]})
    assert len(spectra) == 0


def test_the_published_selection_names_what_each_object_fails(tmp_path, root):
    number = 8
    path = write_coadd(
        tmp_path / "coadd-1.fits",
        rows=number,
        TARGETID=np.arange(number),
        COADD_FIBERSTATUS=[0, 8, 0, 0, 0, 0, 0, 0],
        SV3_BGS_TARGET=[1, 1, 0, 1, 1, 1, 1, 1],
    )
    write_redshifts(
        tmp_path / "redrock-1.fits",
        TARGETID=np.arange(number),
        Z=np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.2, 0.1, 0.1]),
        # Of two errors, one is within what the redshift allows.
        ZERR=np.array([5.4e-4, 1e-5, 1e-5, 1e-5, 1e-5, 6.1e-4, 1e-5, 1e-5]),
        ZWARN=np.array([0, 0, 0, 0, 0, 0, 4, 0]),
        SPECTYPE=np.array(["GALAXY", "GALAXY", "GALAXY", "STAR", *["GALAXY"] * 4]),
        SUBTYPE=np.full(number, ""),
        DELTACHI2=np.array([41.0] * 7 + [39.0]),
    )
    published = load_surveys(root / "config/surveys")["desi_bgs"].selection
    spectra, quarantine = ingested([path], tmp_path / "out", selection=published)
    assert list(spectra.scalars["object_id"]) == ["0"]
    assert dict(zip(quarantine["object_id"], quarantine["reason"], strict=True)) == {
        "1": "selection: fiberstatus 8",
        "2": "selection: no target of BGS",
        "3": "selection: spectype STAR",
        "4": "selection: z above 0.8",
        "5": "selection: z_err not within 0 to 0.0005 (1 + z)",
        "6": "selection: zwarning 4",
        "7": "selection: deltachi2 below 40",
    }
    assert set(quarantine["source"]) == {"coadd-1.fits"}


def test_shards_hold_the_usual_columns_only(tmp_path):
    write_redshifts(tmp_path / "redrock-1.fits")
    spectra, _ = ingested([write_coadd(tmp_path / "coadd-1.fits")], tmp_path / "out")
    assert list(spectra.scalars) == [column.name for column in SPECTRUM_COLUMNS]


def test_objects_without_a_redshift_are_kept_if_one_is_to_be_estimated(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits")
    spectra, quarantine = ingested([path], tmp_path / "a")
    assert len(spectra) == 0
    assert set(quarantine["reason"]) == {"has no finite redshift"}
    selection = {"z_max": 0.5, "z_err_relative_max": 5e-4, "deltachi2_min": 40}
    spectra, _ = ingested([path], tmp_path / "b", missing_redshift="estimate", selection=selection)
    assert len(spectra) == 3
    assert spectra.scalars["z"].isna().all()


def test_an_object_of_two_coadds_is_taken_once(tmp_path):
    files = [write_coadd(tmp_path / f"coadd-{name}.fits") for name in ("a", "b")]
    spectra, quarantine = ingested(files, tmp_path / "out", missing_redshift="estimate")
    assert len(spectra) == 3
    assert set(quarantine["source"]) == {"coadd-b.fits"}
    assert set(quarantine["reason"]) == {"duplicate of an object_id that came before"}


@pytest.mark.parametrize("name", ["desi", "desi_bgs"])
def test_mirrors_of_the_archive_are_found(tmp_path, root, name):
    early = "spectro/redux/fuji/healpix/sv3/bright/260/26065/coadd-sv3-bright-26065.fits"
    first = "spectro/redux/iron/healpix/main/bright/91/9144/coadd-main-bright-9144.fits"
    for path, shift in ((early, 0), (first, 10)):
        target = TARGETID + shift
        write_coadd(tmp_path / path, TARGETID=target, BGS_TARGET=[1, 1, 0])
        write_redshifts(tmp_path / path.replace("coadd-", "redrock-"), TARGETID=target)
    survey = load_surveys(root / "config/surveys")[name]
    files = matching_files(survey.patterns, tmp_path)
    shard, quarantine = tmp_path / "0000.arrow", tmp_path / "0000.parquet"
    ingest(survey, files, shard, quarantine)
    kept, left_out = Spectra(shard).scalars, read_table(quarantine)
    expected = {TARGETID[0], TARGETID[0] + 10}
    expected |= {TARGETID[2], TARGETID[2] + 10} if name == "desi" else set()
    assert {*kept["object_id"]} == {str(target) for target in expected}
    assert {*left_out["source"]} == {early, first}
    reasons = {"selection: zwarning 4"}
    assert {*left_out["reason"]} == reasons | (
        {"selection: no target of BGS"} if name == "desi_bgs" else set()
    )


@pytest.mark.parametrize(
    "selection", [{"target": ["BGS"]}, {"fiberstatus_allowed": 0}, {"deltachi2_min": 40}]
)
def test_what_sdss_files_do_not_tell_cannot_be_selected_by(tmp_path, write_spec, selection):
    path = write_spec(tmp_path / "spec.fits")
    with pytest.raises(UserError, match=next(iter(selection))):
        ingested([path], tmp_path / "out", reader="sdss", instrument="sdss", selection=selection)


# Width of the line-spread function


def resolution(sigma, diagonals=11):
    """A resolution matrix with Gaussian rows of given widths, stored by diagonals."""

    size, radius = len(sigma), diagonals // 2
    offset = np.arange(-radius, radius + 1)
    rows = np.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    rows /= rows.sum(axis=1, keepdims=True)
    stored = np.zeros((diagonals, size), np.float32)
    for diagonal, step in enumerate(range(radius, -radius - 1, -1)):
        for i in range(max(0, -step), min(size, size - step)):
            stored[diagonal, i + step] = rows[i, step + radius]
    return stored


def test_widths_are_those_of_the_rows_of_the_resolution_matrix(tmp_path):
    sigma = {"B": np.linspace(0.8, 1.4, 30), "R": np.full(35, 0.9), "Z": np.full(40, 1.1)}
    images = {f"{name}_RESOLUTION": np.repeat(resolution(widths)[None], 3, axis=0)
              for name, widths in sigma.items()}  # fmt: skip
    images["R_IVAR"] = np.full((3, 35), 12, np.float32)
    images["Z_IVAR"] = np.zeros((3, 40), np.float32)
    path = write_coadd(tmp_path / "coadd-1.fits", images=images)
    (found,) = desi.lsf_sigma(path)
    assert found.shape == (3, GRID.size)
    # Matrices are cut off at the ends of the arms.
    np.testing.assert_allclose(found[0, 5:25], sigma["B"][5:25], rtol=1e-3)
    np.testing.assert_allclose(found[0, 35:50], 0.9, rtol=1e-3)
    # A pixel without information has a width all the same.
    np.testing.assert_allclose(found[0, 65:85], 1.1, rtol=1e-3)
    assert np.isnan(found[:, 90:]).all()


def test_variances_of_overlapping_arms_are_averaged_as_their_fluxes(tmp_path):
    arms = {"B": np.arange(40), "R": np.arange(40), "Z": np.arange(40)}
    images = {f"{name}_RESOLUTION": resolution(np.full(40, width))[None]
              for name, width in (("B", 0.8), ("R", 1.2), ("Z", 1.0))}  # fmt: skip
    images |= {"R_IVAR": np.full((1, 40), 12, np.float32), "Z_IVAR": np.zeros((1, 40), np.float32)}
    (found,) = desi.lsf_sigma(write_coadd(tmp_path / "coadd-1.fits", 1, arms, images))
    expected = np.sqrt((4 * 0.8**2 + 12 * 1.2**2) / 16)
    np.testing.assert_allclose(found[0, 5:35], expected, rtol=1e-3)


def test_a_coadd_without_resolution_matrices_has_no_widths(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits")
    missing = "has no extension B_RESOLUTION, R_RESOLUTION, Z_RESOLUTION"
    assert reason(path, desi.lsf_sigma) == missing


# Broken files


def test_a_missing_arm_is_named(tmp_path):
    arms = {name: ARMS[name] for name in "BR"}
    path = write_coadd(tmp_path / "coadd-1.fits", arms=arms)
    assert reason(path) == "has no extension Z_WAVELENGTH, Z_FLUX, Z_IVAR, Z_MASK"


def test_missing_extensions_are_named(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", leave_out=["FIBERMAP", "R_IVAR"])
    assert reason(path) == "has no extension FIBERMAP, R_IVAR"
    path = write_coadd(tmp_path / "coadd-2.fits", leave_out=["B_IVAR", "R_IVAR", "Z_IVAR"])
    assert reason(path) == "is no DESI coadd: has no inverse variances such as B_IVAR"
    # Masks are optional, but then no arm has one.
    path = write_coadd(tmp_path / "coadd-4.fits", leave_out=["Z_MASK"])
    assert reason(path) == "has no extension Z_MASK"
    path = write_coadd(tmp_path / "coadd-3.fits", TARGETID=None)
    assert reason(path) == "has no column TARGETID in FIBERMAP"


@pytest.mark.parametrize("part", ["FLUX", "IVAR", "MASK"])
def test_unequal_numbers_of_rows_or_pixels_are_named(tmp_path, part):
    images = {f"R_{part}": np.zeros((2, 35), np.float32)}
    path = write_coadd(tmp_path / "coadd-1.fits", images=images)
    assert reason(path) == f"has 2 x 35 pixels in R_{part}, not 3 x 35"
    images = {f"R_{part}": np.zeros((3, 34), np.float32)}
    path = write_coadd(tmp_path / "coadd-2.fits", images=images)
    assert reason(path) == f"has 3 x 34 pixels in R_{part}, not 3 x 35"


@pytest.mark.parametrize("unit", ["erg/s/cm2/Hz", "1e-16 erg/(s cm2 Angstrom)", "nonsense", "Jy"])
def test_another_unit_is_named(tmp_path, unit):
    path = write_coadd(tmp_path / "coadd-1.fits", unit=unit)
    assert reason(path) == f"has flux in {unit}"


@pytest.mark.parametrize("unit", ["1e-17 erg/(s cm2 Angstrom)", "1e-17 erg / (Angstrom s cm2)"])
def test_the_same_unit_may_be_written_in_several_ways(tmp_path, unit):
    assert read(write_coadd(tmp_path / "coadd-1.fits", unit=unit)).flux.max() == 2


@pytest.mark.parametrize(
    "wavelength",
    [
        3600 + 0.8 * np.arange(30) + 0.2,
        3600 + 1.0 * np.arange(30),
        3595 + 0.8 * np.arange(30),
        9820 + 0.8 * np.arange(30),
        np.full(30, 3600.0),
        np.full(30, np.nan),
        np.zeros((2, 30)),
    ],
)
def test_other_pixels_are_named(tmp_path, wavelength):
    path = write_coadd(tmp_path / "coadd-1.fits", images={"B_WAVELENGTH": wavelength})
    assert reason(path) == "has other pixels in B_WAVELENGTH than the grid of DESI"


def test_a_redshift_file_that_is_broken_is_named(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits")
    beside = write_redshifts(tmp_path / "redrock-1.fits")
    content = beside.read_bytes()
    beside.write_bytes(content[: len(content) // 2])
    assert reason(path) == ("has the redshift file redrock-1.fits, which is truncated or damaged")
    beside.unlink()
    write_redshifts(beside, name="OTHER")
    assert reason(path).endswith("which has no table REDSHIFTS or ZBEST")
    beside.unlink()
    write_redshifts(beside, Z=None, ZWARN=None)
    assert reason(path).endswith("which has no column Z, ZWARN in REDSHIFTS")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b broken", b"SIMPLE  ="])
def test_what_is_not_fits_is_named(tmp_path, content):
    path = tmp_path / "coadd-1.fits"
    path.write_bytes(content)
    assert reason(path) in ("is not a FITS file", "is truncated or damaged")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_truncated_file_is_named(tmp_path, packed, fraction):
    path = write_coadd(tmp_path / "coadd-1.fits", rows=20)
    content = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    cut = tmp_path / ("coadd-2.fits.gz" if packed else "coadd-2.fits")
    cut.write_bytes(content[: int(len(content) * fraction)])
    said = reason(cut)
    assert said == "is truncated or damaged" or said.startswith(("has no ext", "is no DESI coadd"))
    assert not packed or said == "is truncated or damaged"


def test_one_flipped_byte_in_a_compressed_file_is_noticed(tmp_path):
    content = bytearray(gzip.compress(write_coadd(tmp_path / "coadd-1.fits").read_bytes()))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "coadd-2.fits.gz"
    path.write_bytes(content)
    assert reason(path) == "is truncated or damaged"


@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_damage_anywhere_is_read_or_named(tmp_path_factory, at, byte):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(write_coadd(folder / "coadd-1.fits").read_bytes())
    content[at % len(content)] = byte
    path = folder / "coadd-2.fits"
    path.write_bytes(content)
    with contextlib.suppress(UnreadableError):
        assert all(len(part.flux) for part in desi.read(path))
