import numpy as np

from uraniborg.universe.low_rank import factorise, refit


def test_spectra_of_the_rank_are_reproduced():
    random = np.random.default_rng(1)
    spectra = random.uniform(size=(30, 4)) @ random.uniform(size=(4, 80))
    coefficients, basis = factorise(spectra, np.ones_like(spectra), rank=4, iterations=2)
    assert np.allclose(coefficients @ basis, spectra, atol=1e-6)
    assert np.allclose(basis @ basis.T, np.eye(4))


def test_values_with_a_small_error_are_fitted_better():
    random = np.random.default_rng(2)
    spectra = random.uniform(1, 2, size=(40, 60))
    error = np.ones_like(spectra)
    error[:20, :30] = error[20:, 30:] = 0.01
    coefficients, basis = factorise(spectra, error, rank=8, iterations=10)
    residual = np.abs(coefficients @ basis - spectra)
    # No weight per row and per column alone could tell these values apart.
    assert residual[error < 0.1].mean() < 0.5 * residual[error == 1].mean()


def test_refit_minimises_the_weighted_residual():
    random = np.random.default_rng(3)
    basis, error = random.normal(size=(3, 50)), random.uniform(0.5, 2, size=(1, 50))
    spectrum = random.normal(size=(1, 50))
    best = refit(spectrum, error, basis)
    expected = np.linalg.lstsq((basis / error).T, (spectrum / error)[0], rcond=None)[0]
    assert np.allclose(best[0], expected, rtol=1e-6)
