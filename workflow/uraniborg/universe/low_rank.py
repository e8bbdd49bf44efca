"""Spectra as combinations of few basis spectra, to a given error per value."""

import numpy as np

__all__ = ["factorise", "refit"]


def factorise(
    spectra: np.ndarray, error: np.ndarray, rank: int, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Minimises sum(((spectra - coefficients @ basis) / error)^2).

    A singular value decomposition knows one error per row and column at best, so it spends its
    rank where the flux is large. Alternating least squares from there takes the error of every
    value, which a fixed relative accuracy at all wavelengths of young and old stars needs.

    Args:
        spectra: Shape (S, M).
        error: Tolerated error of every value, shape (S, M).
        rank: Number K of basis spectra.
        iterations: Rounds of alternating least squares.

    Returns:
        Coefficients (S, K) and an orthonormal basis (K, M).
    """

    coefficients, singular, basis = np.linalg.svd(spectra, full_matrices=False)
    coefficients, basis = coefficients[:, :rank] * singular[:rank], basis[:rank]
    for _ in range(iterations):
        basis = refit(spectra.T, error.T, coefficients.T).T
        basis = np.linalg.qr(basis.T).Q.T
        coefficients = refit(spectra, error, basis)
    return coefficients, basis


def refit(spectra: np.ndarray, error: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Coefficients (S, K) of spectra (S, M) in a basis (K, M) by weighted least squares."""

    rank = len(basis)
    weight = error**-2.0
    products = np.einsum("kj,lj->jkl", basis, basis).reshape(basis.shape[1], -1)
    normal = (weight @ products).reshape(-1, rank, rank)
    # A trace of a ridge keeps combinations that no spectrum needs from growing.
    ridge = 1e-10 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(rank)
    right = (weight * spectra) @ basis.T
    return np.linalg.solve(normal + ridge, right[..., None])[..., 0]
