"""Times the spectrum autoencoder's parts against their peers."""

import importlib.metadata
import importlib.util

import numpy as np
import torch
from safetensors.torch import load_file

from uraniborg.benchmarks import compare
from uraniborg.jobs import job
from uraniborg.nets.encoders import PublishedEncoder, RestframeEncoder
from uraniborg.records import write_records
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch, SpectraDataset
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

    size = model.latent_size
    basis = Basis(**load_file(snakemake.input.basis))
    restframe_encoder = RestframeEncoder(size, transform, *basis).eval()
    few = Batch(*(tensor[:32] for tensor in batch))
    published = PublishedEncoder(size).eval()
    common = {"unit": "spectra / s", "threads": snakemake.threads}
    rows = [
        compare(
            "redshift and sample rest-frame spectra",
            lambda: transform(restframe, batch.z),
            interpolate,
            objects=count,
            peer_name="numpy.interp",
            peer_version=np.__version__,
            **common,
        ),
        compare(
            "encode without redshift, published encoder",
            lambda: published(*few),
            None if peer is None else lambda: peer(few.flux),
            objects=len(few.z),
            peer_name="spender",
            peer_version=version,
            **common,
        ),
        # Knowing the redshift is another task, so the peer's rate is no measure of this one.
        compare(
            "encode with redshift, restframe encoder",
            lambda: restframe_encoder(*batch),
            None,
            objects=count,
            **common,
        ),
    ]
    write_records(snakemake.output[0], rows)
