"""Stars among catalogued galaxies, on two hand-made models: linear ones need no training."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.attribution.occlusion import Scales, combined, inverse_occlusion
from uraniborg.spectra.attribution.scores import StarScore
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.star_recovery import (
    RECOVERY_COLUMNS,
    purity,
    recovery_counts,
    recovery_numbers,
    recovery_table,
    star_types,
)
from uraniborg.spectra.outliers.stars import StarFlag, StarOrGalaxy, star_table
from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS, verdicts
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter

GRID = WavelengthGrid("log10", 3.6, 2e-4, 1000)
_C = 299792.458


def linear(lines, z_min, z_max):
    """A flat spectrum and three components, the first a slope, the others lines."""

    architecture = {
        "encoder": "restframe", "decoder": "low_rank", "latent_size": 3, "rank": 3,
        "z_min": z_min, "z_max": z_max, "amplitude": "best_fit",
    }  # fmt: skip
    size = len(SpectrumAutoencoder.build(architecture, GRID).encoder.mean)
    transform = SpectrumAutoencoder.build(architecture, GRID).transform
    wavelength = torch.from_numpy(transform.restframe.wavelength).float()
    profiles = [
        sum(torch.exp(-0.5 * ((wavelength / line - 1) / 8e-4) ** 2) for line in group)
        for group in lines
    ]
    scale = torch.tensor([0.5, 1.0, 1.0])
    spectra = torch.stack([wavelength / 5000 - 1, *profiles]) * scale[:, None]
    basis = Basis(torch.ones(size), spectra / scale[:, None], scale.square())
    return SpectrumAutoencoder.build(architecture, GRID, basis).eval()


@pytest.fixture(scope="module")
def galaxy():
    return linear([(3728, 4862), (4960, 5008)], -0.01, 0.2)


@pytest.fixture(scope="module")
def star():
    # Two groups that no redshift takes for those of galaxies.
    return linear([(4102, 4341, 5600), (4227, 5175, 5893)], -0.005, 0.005)


@pytest.fixture(scope="module")
def test_of(galaxy, star):
    return StarOrGalaxy(galaxy, star)


def drawn(model, z, snr, seed=0):
    """Spectra that a model makes, with noise."""

    random = torch.Generator().manual_seed(seed)
    # Deep lines, all of the same sign.
    latent = 0.3 + 0.3 * torch.rand(len(z), 3, generator=random)
    with torch.no_grad():
        clean = model.transform(model.decode(latent), z)
    flux = clean + torch.randn(clean.shape, generator=random) / snr
    return flux, torch.full_like(flux, snr**2)


VELOCITIES = torch.tensor([-600.0, -210.0, 0.0, 35.0, 480.0], dtype=torch.float64)
REDSHIFTS = torch.tensor([0.03, 0.08, 0.11, 0.15, 0.19], dtype=torch.float64)


def test_stars_and_galaxies_are_told_apart(test_of, galaxy, star):
    stars = test_of(*drawn(star, VELOCITIES / _C, snr=20), REDSHIFTS)
    galaxies = test_of(*drawn(galaxy, REDSHIFTS, snr=20), REDSHIFTS)
    assert (stars.evidence > 50).all()
    assert (galaxies.evidence < -50).all()
    assert (stars.flags == 0).all()
    assert (galaxies.flags == 0).all()
    assert stars.star_reduced_chi2.sub(1).abs().max() < 0.2
    assert galaxies.galaxy_reduced_chi2.sub(1).abs().max() < 0.2


def test_radial_velocities_are_found(test_of, star):
    found = test_of(*drawn(star, VELOCITIES / _C, snr=100), REDSHIFTS).velocity
    assert (found - VELOCITIES).abs().max() < 10


@given(factor=st.floats(1e-3, 1e3))
def test_units_of_flux_do_not_matter(test_of, star, factor):
    flux, ivar = drawn(star, VELOCITIES[:2] / _C, snr=10)
    before = test_of(flux, ivar, REDSHIFTS[:2])
    after = test_of(factor * flux, ivar / factor**2, REDSHIFTS[:2])
    assert torch.allclose(before.evidence, after.evidence, rtol=1e-3, atol=0.05)
    assert torch.allclose(before.velocity, after.velocity, atol=0.5)


def test_evidence_does_not_grow_beyond_what_models_can_tell(test_of, galaxy, star):
    """Of two models that are both wrong, chi-squared prefers one ever more clearly."""

    random = torch.Generator().manual_seed(3)
    wiggles = 0.3 * torch.randn(1, 1000, generator=random)
    flux, ivar = drawn(galaxy, REDSHIFTS[:1], snr=1000)
    evidence, chi2 = [], []
    for snr in (30.0, 300.0):
        found = test_of(flux + wiggles, ivar * (snr / 1000) ** 2, REDSHIFTS[:1])
        evidence.append(found.evidence.item())
        chi2.append((found.star_reduced_chi2 - found.galaxy_reduced_chi2).item())
        assert found.flags.item() == StarFlag.POOR_FIT
    assert chi2[1] / chi2[0] > 90
    assert evidence[1] / evidence[0] < 1.5


def test_nothing_is_said_without_data_or_redshift(test_of, star):
    flux, ivar = drawn(star, VELOCITIES / _C, snr=20)
    flux[0], ivar[1], ivar[2, :900] = torch.nan, 0.0, 0.0
    z = REDSHIFTS.clone()
    z[3], z[4] = torch.nan, 0.7
    found = test_of(flux, ivar, z)
    assert (found.flags[:3] & StarFlag.LITTLE_COVERAGE > 0).all()
    assert (found.flags[3:] & StarFlag.NO_REDSHIFT > 0).all()
    assert found.evidence.isnan().tolist() == [True, True, False, True, True]
    assert found.velocity.isnan().tolist() == [True, True, False, False, False]


def test_a_bad_pixel_changes_nothing(test_of, star):
    flux, ivar = drawn(star, VELOCITIES / _C, snr=20)
    masked = ivar.clone()
    masked[:, 500:503] = 0
    before = test_of(flux, masked, REDSHIFTS)
    flux[:, 500], ivar[:, 501], flux[:, 502] = torch.inf, torch.nan, torch.nan
    after = test_of(flux, ivar, REDSHIFTS)
    assert torch.equal(before.evidence, after.evidence)


def test_pixels_that_the_star_model_does_not_know_do_not_count(galaxy, star):
    short = linear([(4102, 4341, 5600), (4227, 5175, 5893)], -0.005, 0.005)
    with torch.no_grad():
        # No star of the training set reached so far.
        short.encoder.mean[-150:] = 0
        short.encoder.basis[:, -150:] = 0
    flux, ivar = drawn(star, VELOCITIES / _C, snr=20)
    flux[:, -60:] += 30
    found = StarOrGalaxy(galaxy, short)(flux, ivar, REDSHIFTS)
    assert (found.star_reduced_chi2 < 1.5).all()


def test_fast_stars_are_doubted(test_of, star):
    found = test_of(*drawn(star, torch.tensor([1300 / _C]).double(), snr=50), REDSHIFTS[:1])
    assert found.evidence.item() > 0
    assert found.flags.item() & StarFlag.IMPLAUSIBLE_VELOCITY


def test_densities_of_latents_count_on_both_sides(galaxy, star):
    flux, ivar = drawn(star, VELOCITIES / _C, snr=5)

    def unlikely(latent):
        return torch.full((len(latent),), -40.0)

    def likely(latent):
        return torch.zeros(len(latent))

    usual = StarOrGalaxy(galaxy, star, likely, likely)(flux, ivar, REDSHIFTS)
    against = StarOrGalaxy(galaxy, star, likely, unlikely)(flux, ivar, REDSHIFTS)
    assert torch.allclose(usual.evidence - against.evidence, torch.tensor(40.0).double())
    plain = StarOrGalaxy(galaxy, star)(flux, ivar, REDSHIFTS)
    # As many latents that are as well known: volumes cancel but for a few units.
    assert (usual.evidence - plain.evidence).abs().max() < 10
    with pytest.raises(ValueError, match="both models"):
        StarOrGalaxy(galaxy, star, star_log_prob=likely)


def test_verdicts_follow_the_odds():
    evidence = [np.nan, -10.0, 3.0, 8.0, 8.0]
    table = pd.DataFrame({"star_evidence": evidence, "star_flags": [0, 0, 0, 0, 4]})
    assert list(verdicts(table)) == ["none", "galaxy", "galaxy", "star", "none"]
    assert list(verdicts(table, 0.5)) == ["none", "galaxy", "star", "star", "none"]


@pytest.fixture(scope="module")
def survey(tmp_path_factory, galaxy, star):
    """Ten galaxies, five stars among them and one blend, as shards with truth."""

    flux, ivar = drawn(galaxy, REDSHIFTS.repeat(3)[:11], snr=20)
    stars, _ = drawn(star, VELOCITIES / _C, snr=20, seed=1)
    flux[:5] = stars
    flux[5] = 0.7 * flux[5] + 0.3 * stars[0]
    folder, number = tmp_path_factory.mktemp("survey"), len(flux)
    scalars = {column.name: np.zeros(number) for column in SPECTRUM_COLUMNS}
    scalars |= {
        "object_id": [f"object-{i}" for i in range(number)],
        "z": REDSHIFTS.repeat(3)[:11].numpy(),
        "zwarning": np.zeros(number, np.int64),
        "spectype": ["GALAXY"] * number,
        "subclass": [""] * number,
        "snr": np.full(number, 20.0),
        "norm": np.full(number, 2.0),
    }
    with SpectraWriter(folder / "spectra.arrow", GRID) as writer:
        writer.write(scalars, flux=2 * flux.numpy(), ivar=ivar.numpy() / 4)
    kind = np.array(["star"] * 5 + ["galaxy"] * 6)
    truth = {
        "kind": kind,
        "anomaly": ["star"] * 5 + ["star_blend"] + ["none"] * 5,
        "z": np.where(kind == "star", np.resize(VELOCITIES / _C, number), scalars["z"]),
        "star_temperature": [3500.0, 4500.0, 5500.0, 7000.0, 9000.0] + [np.nan] * 6,
        "star_log_g": [5.0, 4.5, 4.5, 4.0, 8.0] + [np.nan] * 6,
    }
    columns = [
        Column(name, pa.string() if name in ("kind", "anomaly") else pa.float64(), "", name)
        for name in truth
    ]
    with SpectraWriter(folder / "truth.arrow", GRID, columns, ("flux",)) as writer:
        writer.write(truth, flux=flux.numpy())
    return Spectra(folder / "spectra.arrow"), Spectra(folder / "truth.arrow")


def test_tables_of_a_survey(test_of, survey):
    spectra, truth = survey
    stars = star_table(test_of, spectra, spectra.column("z"))
    table = recovery_table(stars, spectra, truth)
    assert list(table) == [column.name for column in RECOVERY_COLUMNS]
    assert list(table["group"]) == ["star"] * 5 + ["star_blend"] + ["galaxy"] * 5
    assert list(table["subclass"][:5]) == ["M", "K", "G", "F", "WD"]
    assert (table["star_verdict"][:5] == "star").all()
    assert (table["star_verdict"][6:] == "galaxy").all()
    error = table["star_velocity"] - table["true_velocity"]
    assert error[:5].abs().max() < 40
    assert error[5:].isna().all()
    numbers = recovery_numbers(table)
    assert set(numbers) == {"star_completeness", "star_purity_10", "star_purity_1"}
    assert numbers["star_completeness"]["value"] == 1
    assert recovery_counts(table)["n"].sum() == 11

    part = star_table(test_of, spectra, np.full(11, np.nan), rows=np.array([3]))
    assert list(part) == [column.name for column in STAR_COLUMNS]
    assert part["object_id"].item() == "object-3"
    assert part["star_flags"].item() & StarFlag.NO_REDSHIFT
    assert part["star_verdict"].item() == "none"
    assert len(star_table(test_of, spectra, np.zeros(11), rows=np.array([], int))) == 0


def test_purity_depends_on_prevalence():
    is_star = np.arange(10_000) < 100
    called = is_star.copy()
    called[:10], called[-99:] = False, True
    common, rare = (purity(is_star, called, p) for p in (0.01, 0.001))
    assert common.completeness[0] == pytest.approx(0.9)
    assert common.purity[0] == pytest.approx(90 / 189)
    assert rare.purity[0] == pytest.approx(0.0009 / (0.0009 + 0.00999))
    assert common.mistaken == 99
    for value, low, high in (common.completeness, common.purity, rare.purity):
        assert low < value < high
    # That nothing is mistaken does not mean that nothing ever will be.
    perfect = purity(is_star, is_star, 0.001)
    assert perfect.purity[0] == 1
    assert perfect.purity[1] < 0.99


def test_types_of_stars():
    stars = pd.DataFrame({"star_temperature": [3000.0, 6200.0, 2e4, 2e4]})
    stars["star_log_g"] = [5.0, 4.0, 4.0, 8.0]
    assert list(star_types(stars)) == ["M", "F", "B", "WD"]


def test_evidence_for_a_star_is_attributed_to_its_lines(test_of, galaxy, star):
    flux, ivar = drawn(star, VELOCITIES[2:3] / _C, snr=30)
    spectrum = Batch(flux, ivar, REDSHIFTS[2:3])
    with torch.no_grad():
        latent = 0.3 + 0.3 * torch.rand(3, 3, generator=torch.Generator().manual_seed(7))
        ordinary = galaxy.transform(galaxy.decode(latent), spectrum.z.expand(3))
    maps = inverse_occlusion(StarScore(test_of), spectrum, ordinary, Scales((10, 40), (0, 0)))
    attribution = combined(maps)
    near = torch.zeros(GRID.size, dtype=torch.bool)
    for line in (4102, 4341, 5600, 4227, 5175, 5893):
        near |= torch.from_numpy(np.abs(GRID.wavelength / line - 1) < 4e-3)
    assert attribution[near].mean() > 5 * attribution[~near].mean().abs()
