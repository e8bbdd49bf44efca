"""A scorer of the toy sky, an object with a line that no other has, and its baselines."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from uraniborg.nets.flows import Flow
from uraniborg.spectra.attribution.baselines import ordinary_spectra
from uraniborg.spectra.attribution.scores import LatentScore
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.density import Density
from uraniborg.spectra.outliers.misfit import ModelMisfit
from uraniborg.spectra.outliers.scorer import Objects, OutlierScorer


class Explained(NamedTuple):
    scorer: OutlierScorer
    spectrum: Batch
    line: slice
    snr: float
    score: LatentScore
    baselines: torch.Tensor


def toy_scorer(toy, encoder):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, toy.rank, iterations=20)
    architecture = {**toy.architecture, "encoder": encoder}
    model = SpectrumAutoencoder.build(architecture, toy.transform.observed, basis).eval()
    # So that the network, which starts at zero, matters.
    for parameter in model.encoder.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    log_snr = (toy.batch.flux * toy.batch.ivar.sqrt()).abs().median(dim=1).values.double().log()
    misfit = ModelMisfit.of(model, [toy.batch])
    with torch.inference_mode():
        made = model(*toy.batch)
        statistics = misfit.statistics(toy.batch, made)
    flows = [Flow(3, 1) for _ in range(2)]
    for flow in flows:
        flow.standardise_by(made.latent.clone(), log_snr[:, None].float())
    density = Density(flows, torch.zeros(1)).eval()
    objects = Objects(made.latent.clone(), statistics.clone(), log_snr)
    names = np.array([f"train-{i}" for i in range(len(log_snr))], dtype=object)
    return OutlierScorer.of(model, density, misfit, objects, objects, names)


def explain(toy, encoder):
    scorer = toy_scorer(toy, encoder)
    flux, ivar, z = (x[:1].clone() for x in toy.batch)
    # The toy sky's line is at 0.6 of the rest frame; much brighter than any other.
    restframe = torch.zeros(1, toy.transform.restframe.size)
    centre = int(0.6 * toy.transform.restframe.size)
    restframe[0, centre - 8 : centre + 8] = 8
    line = toy.transform(restframe, z)
    flux = (flux + line).where(ivar > 0, 0)
    pixels = (line[0] > 1).nonzero()[:, 0]
    spectrum = Batch(flux, ivar, z)
    baselines = ordinary_spectra(scorer, spectrum, "object", number=4)
    place = slice(int(pixels[0]), int(pixels[-1]) + 1)
    return Explained(scorer, spectrum, place, 8.0, LatentScore(scorer, 8.0), baselines)


@pytest.fixture(scope="session")
def explained(toy) -> Explained:
    return explain(toy, "restframe")


@pytest.fixture(scope="session")
def explained_flux(toy) -> Explained:
    return explain(toy, "flux")
