"""A model of the toy sky that misses nothing but the noise, and a scorer of it."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from uraniborg.nets.flows import Flow
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.density import Density
from uraniborg.spectra.outliers.misfit import ModelMisfit
from uraniborg.spectra.outliers.scorer import Objects, OutlierScorer


class Scoring(NamedTuple):
    scorer: OutlierScorer
    held_out: Objects
    autoencoder: dict
    log_snr: torch.Tensor


@pytest.fixture(scope="session")
def toy_model(toy):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, toy.rank, iterations=20)
    return SpectrumAutoencoder.build(toy.architecture, toy.transform.observed, basis).eval()


@pytest.fixture(scope="session")
def scoring(toy, toy_model):
    """Calibrated on the first 400 objects; the other 200 are new."""

    batch = Batch(*(x[:400] for x in toy.batch))
    log_snr = (toy.batch.flux * toy.batch.ivar.sqrt()).abs().median(dim=1).values.double().log()
    misfit = ModelMisfit.of(toy_model, [batch])
    with torch.inference_mode():
        made = toy_model(*batch)
        statistics = misfit.statistics(batch, made)
    torch.manual_seed(1)
    flows = [Flow(3, 1) for _ in range(2)]
    for flow in flows:
        flow.standardise_by(made.latent.clone(), log_snr[:400, None].float())
    density = Density(flows, torch.zeros(1)).eval()
    score = density.score(made.latent, log_snr[:400, None].float())
    density = Density(flows, score.log_prob).eval()
    held_out = Objects(made.latent, statistics, log_snr[:400])
    names = np.array([f"train-{i}" for i in range(400)], dtype=object)
    scorer = OutlierScorer.of(toy_model, density, misfit, held_out, held_out, names)
    grid = vars(toy.transform.observed)
    grid = {name: grid[name] for name in ("kind", "start", "step", "size")}
    return Scoring(scorer, held_out, {"architecture": toy.architecture, "grid": grid}, log_snr)
