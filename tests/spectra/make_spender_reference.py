"""Writes spender_reference.safetensors with spender 0.3; see spender_reference.md."""

import sys
from pathlib import Path

import spender
import torch
from safetensors.torch import save_file

CHANNELS, HIDDEN = (4, 6, 8), (8, 12, 16)


class TinyEncoder(spender.SpectrumEncoder):
    """The encoder with fewer channels, everything else as it is."""

    def _conv_blocks(self, filters, sizes):
        filters[:] = CHANNELS
        return super()._conv_blocks(filters, sizes)


class Spectrograph(spender.Instrument):
    """160 pixels and a line-spread function."""


def main(path: Path) -> None:
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True)
    wavelength = (10 ** (3.6 + 2e-3 * torch.arange(160, dtype=torch.float64))).float()
    lsf = spender.LSF(torch.tensor([0.05, 0.2, 0.8, 0.3, 0.1]))
    instrument = Spectrograph(wavelength, lsf=lsf)
    restframe = torch.linspace(3200.0, 8150.0, 170)
    encoder = TinyEncoder(instrument, 3, n_hidden=(6, 5, 4))
    decoder = spender.SpectrumDecoder(restframe, 3, n_hidden=HIDDEN)
    model = spender.model.BaseAutoencoder(encoder, decoder)
    # Some steps of training, so that no weight is what it was at the start.
    z = torch.tensor([0.0, 0.05, 0.3])
    line = torch.exp(-(((wavelength - 5000 * (1 + z[:, None])) / 60) ** 2))
    flux = 1 + 0.3 * (wavelength / 5000 - 1) + torch.tensor([[0.2], [1.0], [-0.4]]) * line
    flux = flux + 0.05 * torch.randn(3, 160)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        model.loss(flux, torch.full_like(flux, 400), z=z).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        latent, rest, observed, valid = model._forward(flux, z=z)
    values = {"flux": flux, "z": z, "latent": latent, "restframe": rest, "observed": observed}
    values["covered"] = valid.to(torch.uint8)
    save_file({**model.state_dict(), **values}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
