"""Weights that SPENDER's authors trained, as models of this library.

Their code is the package `spender` (version 0.3); its models are files of `torch.save` that hold
the state dict of a `SpectrumAutoencoder`, alone or under the key `model`.
"""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.nets.decoders import PublishedDecoder
from uraniborg.nets.encoders import PublishedEncoder
from uraniborg.nets.layers import GatedLinearUnit
from uraniborg.spectra.interpolation import InterpolationTransform

__all__ = [
    "PublishedParts",
    "load_published",
    "published_architecture",
    "published_parts",
    "published_state",
]

State = Mapping[str, Tensor]

_OBSERVED = "encoder.instrument.wave_obs"
_LSF = "encoder.instrument.lsf.weight"
_RESTFRAME = "decoder.wave_rest"


class PublishedParts(NamedTuple):
    """What a `uraniborg.spectra.autoencoder.SpectrumAutoencoder` is made of."""

    encoder: PublishedEncoder
    decoder: PublishedDecoder
    transform: InterpolationTransform


def published_state(
    path: str | Path | None = None,
    encoder: str | Path | None = None,
    decoder: str | Path | None = None,
) -> dict[str, Tensor]:
    """Reads the state dict of an autoencoder, or of its two halves.

    Files are read as tensors only: nothing that they hold is executed.

    Args:
        path: State dict of `spender.SpectrumAutoencoder`; of a list of them, the first is taken.
        encoder: State dict of `spender.SpectrumEncoder`, where the halves are in two files.
        decoder: State dict of `spender.SpectrumDecoder`.

    Raises:
        UserError: A file is absent, damaged, or holds something else.
    """

    if path is not None:
        return _modern(_tensors(path))
    if encoder is None or decoder is None:
        raise UserError("import: name `path`, or both `encoder` and `decoder`.")
    halves = {"encoder": _tensors(encoder), "decoder": _tensors(decoder)}
    return _modern({f"{half}.{k}": v for half, state in halves.items() for k, v in state.items()})


def _tensors(path: str | Path) -> State:
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file.") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: holds more than tensors, or is no file of torch; save the state dict alone: "
            "torch.save(model.state_dict(), path)."
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path}: is truncated or no file of torch; fetch it again.") from error
    state = contents.get("model", contents) if isinstance(contents, Mapping) else contents
    state = state[0] if isinstance(state, list | tuple) and state else state
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path}: holds no state dict; save model.state_dict().")
    return state


def _modern(state: State) -> dict[str, Tensor]:
    """The state as version 0.3 names it."""

    state = {key.replace("mlp.mlp.", "mlp."): value for key, value in state.items()}
    first, last_conv = "encoder.mlp.0.weight", "encoder.conv3.0.weight"
    if first in state and last_conv in state:
        # The first models gave the redshift to the encoder, as the last input; 0.3 leaves it out.
        state[first] = state[first][:, : len(state[last_conv]) // 2]
    return state


def published_architecture(state: State, grid: WavelengthGrid) -> dict[str, Any]:
    """The settings of a model's card that `published_parts` builds from, read off the shapes.

    Args:
        state: See `published_state`.
        grid: The pixels of the surveys that the model shall be applied to.

    Raises:
        UserError: The state is not one of the published classes, or of another grid.
    """

    missing = [key for key in _EXPECTED if key not in state]
    if missing:
        raise UserError(
            f"import: the state dict lacks {_listed(missing)}; it is not of spender's "
            "SpectrumAutoencoder (version 0.3)."
        )
    convolutions = [state[f"encoder.conv{i}.0.weight"].shape for i in (1, 2, 3)]
    encoder, decoder = (_linear_shapes(state, half) for half in ("encoder", "decoder"))
    if encoder[-1][0] != decoder[0][1]:
        raise UserError(
            f"import: the encoder makes {encoder[-1][0]} latents, the decoder takes "
            f"{decoder[0][1]}; they belong to different models."
        )
    architecture = {
        "encoder": "published",
        "decoder": "published",
        "latent_size": decoder[0][1],
        "amplitude": "norm",
        "published": {
            "channels": [shape[0] for shape in convolutions],
            "kernels": [shape[2] for shape in convolutions],
            "encoder_hidden": [shape[0] for shape in encoder[:-1]],
            "decoder_hidden": [shape[0] for shape in decoder[:-1]],
            "activation": "gated" if "decoder.mlp.1.beta" in state else "leaky_relu",
            "restframe_size": decoder[-1][0],
            "lsf_size": state[_LSF].numel() if _LSF in state else 1,
            "observed_dtype": _dtype(state, _OBSERVED),
            "restframe_dtype": _dtype(state, _RESTFRAME),
        },
    }
    _check_grid(state, grid)
    return architecture


_EXPECTED = (
    *(f"encoder.conv{i}.{part}" for i in (1, 2, 3) for part in ("0.weight", "0.bias", "2.weight")),
    "encoder.mlp.0.weight",
    "decoder.mlp.0.weight",
)


def _dtype(state: State, key: str) -> str:
    """Precision of a tensor; that of what is absent is single."""

    return "float64" if key in state and state[key].dtype == torch.float64 else "float32"


def _linear_shapes(state: State, half: str) -> list[tuple[int, int]]:
    """Outputs and inputs of the linear layers, which are every third entry of the perceptron."""

    pattern = re.compile(rf"{half}\.mlp\.(\d+)\.weight")
    numbers = (pattern.fullmatch(key) for key in state)
    layers = sorted(int(n[1]) for n in numbers if n and int(n[1]) % 3 == 0)
    return [tuple(state[f"{half}.mlp.{layer}.weight"].shape) for layer in layers]


def _check_grid(state: State, grid: WavelengthGrid) -> None:
    if _OBSERVED not in state:
        return
    wavelength = state[_OBSERVED].double().numpy()
    if len(wavelength) != grid.size:
        raise UserError(
            f"import: the model has {len(wavelength)} observed pixels, the instrument {grid.size}; "
            "set `import: instrument` to the one it was trained for."
        )
    offset = np.abs(wavelength - grid.wavelength) / np.gradient(grid.wavelength)
    if offset.max() > 0.1:
        raise UserError(
            f"import: the model's observed pixels differ from the instrument's by up to "
            f"{offset.max():.3g} pixels; set `import: instrument` to the one it was trained for."
        )


def published_parts(architecture: Mapping[str, Any], grid: WavelengthGrid) -> PublishedParts:
    """The parts that a card describes, their weights yet to be loaded.

    Args:
        architecture: See `published_architecture`.
        grid: The observed pixels.
    """

    latent_size, layers = architecture["latent_size"], architecture["published"]
    encoder = PublishedEncoder(
        latent_size,
        channels=tuple(layers["channels"]),
        kernels=tuple(layers["kernels"]),
        pools=tuple(layers["kernels"][:2]),
        hidden=tuple(layers["encoder_hidden"]),
    )
    size = layers["restframe_size"]
    decoder = PublishedDecoder(
        latent_size, size, tuple(layers["decoder_hidden"]), layers["activation"]
    )
    transform = InterpolationTransform(
        torch.tensor(grid.wavelength, dtype=getattr(torch, layers["observed_dtype"])),
        torch.linspace(1, 2, size, dtype=getattr(torch, layers["restframe_dtype"])),
        torch.ones(layers["lsf_size"]),
    )
    return PublishedParts(encoder, decoder, transform)


def load_published(
    state: State,
    parts: PublishedParts,
    restframe: tuple[float, float] | None = None,
) -> None:
    """Copies a state dict into parts of its architecture.

    Args:
        state: See `published_state`.
        parts: See `published_parts`.
        restframe: First and last wavelength in Angstrom of an evenly spaced rest-frame grid, for a
            state that lacks it.

    Raises:
        UserError: A weight is missing, unknown or of the wrong shape, or the rest-frame grid is.
    """

    pairs = _pairs(parts)
    known = {*pairs, _OBSERVED, _LSF, _RESTFRAME, "encoder.instrument.skyline_mask"}
    missing, unknown = sorted(pairs.keys() - state.keys()), sorted(state.keys() - known)
    if missing or unknown:
        lacks = f"lacks {_listed(missing)}" if missing else ""
        has = f"has {_listed(unknown)}, which the published classes do not" if unknown else ""
        raise UserError(
            f"import: the state dict {' and '.join(filter(None, (lacks, has)))}; other activations "
            "or layers than those of spender 0.3 cannot be imported."
        )
    transform = parts.transform
    pairs |= {_RESTFRAME: transform.restframe_wavelength, _OBSERVED: transform.observed_wavelength}
    values = dict(state)
    if _RESTFRAME not in state:
        if restframe is None:
            raise UserError(
                "import: the state dict has no rest-frame wavelengths; give the first and the last "
                "as `import: restframe: [2359, 9332]`."
            )
        values[_RESTFRAME] = torch.linspace(*restframe, transform.restframe.size)
    if _LSF in state:
        values[_LSF] = state[_LSF].flatten()
        pairs[_LSF] = transform.lsf
    for key, target in pairs.items():
        if key not in values:
            continue
        if values[key].shape != target.shape:
            raise UserError(
                f"import: {key} has shape {tuple(values[key].shape)}, not {tuple(target.shape)}; "
                "the file is not of one model."
            )
        with torch.no_grad():
            target.copy_(values[key])


def _pairs(parts: PublishedParts) -> dict[str, Tensor]:
    """Where each of their weights belongs."""

    pairs: dict[str, Tensor] = {}
    convolutions = _of_type(parts.encoder.convolutions, nn.Conv1d)
    slopes = _of_type(parts.encoder.convolutions, nn.PReLU)
    for i, (convolution, slope) in enumerate(zip(convolutions, slopes, strict=True), 1):
        pairs[f"encoder.conv{i}.0.weight"] = convolution.weight
        pairs[f"encoder.conv{i}.0.bias"] = convolution.bias
        pairs[f"encoder.conv{i}.2.weight"] = slope.weight
    networks = {"encoder": parts.encoder.features, "decoder": parts.decoder.network}
    for half, network in networks.items():
        # Theirs has three entries per layer: linear, activation, and a placeholder.
        for i, linear in enumerate(_of_type(network, nn.Linear)):
            pairs[f"{half}.mlp.{3 * i}.weight"] = linear.weight
            pairs[f"{half}.mlp.{3 * i}.bias"] = linear.bias
        for i, slope in enumerate(_of_type(network, nn.PReLU)):
            pairs[f"{half}.mlp.{3 * i + 1}.weight"] = slope.weight
        for i, unit in enumerate(_of_type(network, GatedLinearUnit)):
            pairs[f"{half}.mlp.{3 * i + 1}.beta"] = unit.slope
            pairs[f"{half}.mlp.{3 * i + 1}.gamma"] = unit.gate
    return pairs


def _of_type(modules: Iterable[nn.Module], kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in modules if isinstance(module, kind)]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
