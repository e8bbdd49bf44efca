"""What is timed of spectrum autoencoders, ours and the peer's: the same work on the same arrays."""

import importlib.metadata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.nets.decoders import LowRankDecoder, PublishedDecoder
from uraniborg.nets.encoders import PublishedEncoder, RestframeEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.losses import fidelity
from uraniborg.spectra.objective import Objective
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Spectra

__all__ = ["PEER", "Work", "load", "our_work", "peer_version", "peer_work"]

PEER = "spender"
LATENT_SIZE, RANK, Z_MAX = 10, 24, 0.5
SLOPE = 5.0
# Spectra that the peer encodes at a time: of 8, 16, 32, 64 and 128 it is fastest with 8.
PEER_BATCH = 8
# At its second epoch the steepness of the similarity is that of the peer.
THREE_LOSSES = Objective(2, similarity=1, consistency=1, slope=SLOPE, cycle=2, silent=0)
LEARNING_RATE, GRADIENT_CLIP = 1e-3, 1.0


class Work(NamedTuple):
    """What is done with a model and a batch.

    Attributes:
        encode: Latents of the spectra, without gradients.
        fidelity: A step of training: forward, backward, gradients clipped, Adam.
        three_losses: The same with similarity and consistency (arXiv:2302.02496).
    """

    encode: Callable[[], object]
    fidelity: Callable[[], object]
    three_losses: Callable[[], object]


def load(spectra: str, count: int) -> tuple[Batch, RedshiftTransform]:
    """The first spectra of a shard, and the published range of redshifts unless it takes more."""

    shard = Spectra(spectra)
    batch = SpectraDataset(shard).batch(np.arange(min(count, len(shard))))
    return batch, RedshiftTransform(shard.grid, max(Z_MAX, float(batch.z.max())))


def our_work(encoder: str, batch: Batch, transform: RedshiftTransform) -> Work:
    """The work with one of our models, by the name of its encoder."""

    torch.manual_seed(1)
    size = transform.restframe.size
    if encoder == "published":
        parts = PublishedEncoder(LATENT_SIZE), PublishedDecoder(LATENT_SIZE, size)
        model = SpectrumAutoencoder(*parts, transform, "norm")
    else:
        # Any basis will do: the speed does not depend on it.
        spectra = torch.linalg.qr(torch.randn(size, RANK)).Q.T.contiguous()
        basis = Basis(torch.ones(size), spectra, torch.ones(RANK))
        if encoder == "restframe":
            network = RestframeEncoder(LATENT_SIZE, transform, *basis)
        else:
            network = FluxEncoder(LATENT_SIZE)
        model = SpectrumAutoencoder(network, LowRankDecoder(LATENT_SIZE, *basis), transform)

    def encode() -> None:
        model.eval()
        with torch.inference_mode():
            model.encode(*batch)

    step = _step(model)
    return Work(
        encode,
        lambda: step(lambda: fidelity(batch.flux, batch.ivar, model(*batch).observed)),
        lambda: step(lambda: THREE_LOSSES(model, batch, epoch=2)["loss"]),
    )


def peer_version() -> str:
    """The peer's version, empty where it is not installed."""

    try:
        return importlib.metadata.version(PEER)
    except importlib.metadata.PackageNotFoundError:
        return ""


def peer_work(batch: Batch, transform: RedshiftTransform) -> Work | None:
    """The peer's work, by its own functions; None where it is not installed, or for other grids
    than the one that its augmentation knows."""

    if not peer_version():
        return None
    import spender
    from spender.data.sdss import SDSS
    from spender.loss import LossConfig, get_losses

    instrument = SDSS()
    if len(instrument.wave_obs) != batch.flux.shape[1]:
        return None
    torch.manual_seed(1)
    restframe = torch.as_tensor(transform.restframe.wavelength, dtype=torch.float32)
    model = spender.SpectrumAutoencoder(instrument, restframe, n_latent=LATENT_SIZE)
    flux, ivar, z = batch.flux, batch.ivar, batch.z.float()
    settings = LossConfig(similarity_slope=SLOPE)

    def encode() -> None:
        model.eval()
        with torch.inference_mode():
            # As many at a time as the peer is fastest with.
            for part in flux.split(PEER_BATCH):
                model.encode(part)

    def three_losses() -> Tensor:
        augment = SDSS.augment_spectra
        losses = get_losses(model, instrument, (flux, ivar, z), augment, loss_config=settings)
        weights = (1, settings.similarity_amp, settings.consistency_amp)
        return sum(weight * loss for weight, loss in zip(weights, losses, strict=True))

    step = _step(model)
    return Work(
        encode,
        lambda: step(lambda: model.loss(flux, ivar, instrument, z)),
        lambda: step(three_losses),
    )


def _step(model: nn.Module) -> Callable[[Callable[[], Tensor]], None]:
    """Takes a step of training down a loss, in the same way for every model."""

    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0, fused=True)

    def step(loss: Callable[[], Tensor]) -> None:
        model.train()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()

    return step
