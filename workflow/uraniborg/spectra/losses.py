"""What spectrum autoencoders minimise, and how their fit is judged."""

from torch import Tensor

__all__ = ["fidelity", "reduced_chi2"]


def fidelity(flux: Tensor, ivar: Tensor, model: Tensor) -> Tensor:
    """Mean over objects of half the mean weighted squared residual (arXiv:2211.07890, equation 1).

    Args:
        flux: Observed spectra (N, L).
        ivar: Their inverse variance (N, L), 0 where masked.
        model: Reconstructions (N, L).
    """

    return 0.5 * (ivar * (flux - model).square()).mean()


def reduced_chi2(flux: Tensor, ivar: Tensor, model: Tensor, parameters: int) -> Tensor:
    """Chi-squared per degree of freedom of each object, shape (N,).

    Args:
        flux: Observed spectra (N, L).
        ivar: Their inverse variance (N, L), 0 where masked.
        model: Reconstructions (N, L).
        parameters: Fitted numbers per object, which reduce the degrees of freedom.
    """

    freedom = ((ivar > 0).sum(dim=1) - parameters).clamp_min(1)
    return (ivar * (flux - model).square()).sum(dim=1) / freedom
