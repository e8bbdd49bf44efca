"""What is timed of the search for outliers, ours and the peer's: the same work on the same arrays.

Nothing is trained: neither speed nor memory depends on it.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from spectra_work import PEER_BATCH, Z_MAX, peer_version
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.flows import Flow
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.outliers.density import Density
from uraniborg.spectra.outliers.misfit import ModelMisfit
from uraniborg.spectra.outliers.scorer import OutlierScorer, encoded
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Spectra

__all__ = ["autoencoder", "density", "load_scorer", "our_log_prob", "peer_log_prob", "save_scorer"]

LATENT_SIZE, RANK, MEMBERS = 6, 24, 5


def autoencoder(encoder: str, grid: WavelengthGrid, z_max: float) -> SpectrumAutoencoder:
    """Our model, by the name of its encoder."""

    torch.manual_seed(1)
    architecture = _architecture(encoder, z_max)
    size = RedshiftTransform.of(architecture, grid).restframe.size
    # Any basis will do.
    spectra = torch.linalg.qr(torch.randn(size, RANK)).Q.T.contiguous()
    basis = Basis(torch.ones(size), spectra, torch.ones(RANK))
    return SpectrumAutoencoder.build(architecture, grid, basis).eval()


def density(latent: Tensor, context: Tensor, kind: str, members: int) -> Density:
    """An ensemble of flows of these latents (N, S), given (N, C)."""

    torch.manual_seed(1)
    flows = [Flow(latent.shape[1], context.shape[1], kind) for _ in range(members)]
    for flow in flows:
        flow.standardise_by(latent, context)
    held_out = Density(flows, torch.zeros(1)).score(latent, context).log_prob
    return Density(flows, held_out).eval()


def our_log_prob(
    encoder: str, batch: Batch, transform: RedshiftTransform, context: Tensor, **flows: Any
) -> Callable[[], object]:
    """Encodes spectra and says how probable their latents are, given (N, C)."""

    model = autoencoder(encoder, transform.observed, transform.z_max)
    with torch.inference_mode():
        of_latents = density(model.encode(*batch), context, **flows)

    @torch.inference_mode()
    def log_prob() -> None:
        of_latents.score(model.encode(*batch), context)

    return log_prob


def peer_log_prob(flux: Tensor) -> Callable[[], object] | None:
    """The same by the peer's own classes; None where it is not installed."""

    if not peer_version():
        return None
    import spender
    from spender.data.sdss import SDSS
    from spender.flow import NeuralDensityEstimator

    torch.manual_seed(1)
    encoder = spender.SpectrumEncoder(SDSS(), LATENT_SIZE).eval()
    # As published: five transforms with 50 hidden units, of latents times 20.
    scale = {"bounds": [[0, 0]] * LATENT_SIZE, "std": [1 / 20] * LATENT_SIZE}
    flow = NeuralDensityEstimator(LATENT_SIZE, scale, hidden_features=50, num_transforms=5).eval()

    @torch.inference_mode()
    def log_prob() -> None:
        flow.log_prob(torch.cat([encoder(part) for part in flux.split(PEER_BATCH)]))

    return log_prob


def save_scorer(spectra: Spectra, folder: Path) -> None:
    """Writes a scorer with the default encoder and density, calibrated with all these spectra."""

    dataset, snr = SpectraDataset(spectra), spectra.column("snr")
    z_max = max(Z_MAX, float(dataset.z.max()))
    model = autoencoder("restframe", spectra.grid, z_max)
    misfit = ModelMisfit.of(model, dataset.batches(256))
    objects = encoded(model, misfit, dataset, snr)
    context = objects.log_snr[:, None].float()
    finite = objects.latent.isfinite().all(dim=1) & context.isfinite().all(dim=1)
    of_latents = density(objects.latent[finite], context[finite], "spline", MEMBERS)
    scorer = OutlierScorer.of(
        model, of_latents, misfit, objects, objects, spectra.column("object_id")
    )
    card = {"architecture": _architecture("restframe", z_max), "grid": asdict(spectra.grid)}
    scorer.save(*_files(folder), card, {})


def load_scorer(folder: Path) -> OutlierScorer:
    """Reads it."""

    return OutlierScorer.load(*_files(folder))


def _architecture(encoder: str, z_max: float) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "weighted": True,
        "decoder": "low_rank",
        "latent_size": LATENT_SIZE,
        "rank": RANK,
        "z_min": -0.01,
        "z_max": z_max,
        "amplitude": "best_fit",
    }


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "scorer.safetensors", folder / "scorer.json"
