"""Times the spectrum autoencoder's parts against their peers."""

import importlib.metadata
import importlib.util

import numpy as np
import torch

from uraniborg.benchmarks import compare, write_benchmarks
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.tables import Spectra


def spender_encoder(size: int):
    """The peer's encoder, untrained: its speed does not depend on its weights."""

    if importlib.util.find_spec("spender") is None:
        return None, ""
    from spender import SpectrumEncoder

    return SpectrumEncoder(None, size).eval(), importlib.metadata.version("spender")


with job(snakemake), torch.inference_mode():
    torch.set_num_threads(snakemake.threads)
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    batch = SpectraDataset(spectra).batch(np.arange(min(128, len(spectra))))
    count, transform = len(batch.z), model.transform
    restframe = model(*batch).restframe
    rest_wavelength = transform.restframe.wavelength
    observed_wavelength = transform.observed.wavelength
    peer, version = spender_encoder(model.latent_size)

    def interpolate() -> None:
        for spectrum, z in zip(restframe.numpy(), batch.z.tolist(), strict=True):
            np.interp(observed_wavelength, rest_wavelength * (1 + z), spectrum)

    common = {"objects": count, "unit": "spectra / s", "threads": snakemake.threads}
    rows = [
        compare(
            "redshift and sample a rest-frame spectrum",
            lambda: transform(restframe, batch.z),
            interpolate,
            peer_name="numpy.interp",
            peer_version=np.__version__,
            **common,
        ),
        compare(
            "encode (restframe encoder, given z; the peer solves the harder task without z)",
            lambda: model.encoder(*batch),
            None if peer is None else lambda: peer(batch.flux),
            peer_name="spender",
            peer_version=version,
            **common,
        ),
    ]
    write_benchmarks(snakemake.output[0], rows)
