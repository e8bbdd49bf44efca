"""How probable an object's features are: ensembles of normalising flows."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.nets.flows import Flow
from uraniborg.nets.weights import load_card, load_weights, save_model

__all__ = ["Density", "Sample", "Score"]


class Sample(NamedTuple):
    """Features of N objects.

    Attributes:
        features: Shape (N, D).
        context: What they are judged given, shape (N, C); C may be 0.
    """

    features: Tensor
    context: Tensor


class Score(NamedTuple):
    """What an ensemble says of N objects; NaN for those that are flagged.

    Attributes:
        log_prob: Log of the members' mean density, shape (N,), float64.
        spread: Standard deviation over members of log p, shape (N,), float64: what the size of the
            training set leaves open.
        flagged: Objects with a feature or context that is not finite, shape (N,), bool.
    """

    log_prob: Tensor
    spread: Tensor
    flagged: Tensor


class Density(nn.Module):
    """An ensemble of flows p(features | context) with the log-probabilities of held-out objects.

    Args:
        flows: Members of the same architecture.
        held_out: Scores of objects that no member has seen, any order, shape (H,).
    """

    def __init__(self, flows: list[Flow], held_out: Tensor) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.register_buffer("held_out", held_out.double().sort().values)

    @classmethod
    def load(cls, weights: str | Path, card: str | Path) -> Self:
        """Reads a trained density, ready for inference.

        Raises:
            UserError: A file is damaged or they do not belong together.
        """

        architecture = dict(load_card(card)["architecture"])
        members, size = architecture.pop("members"), architecture.pop("held_out")
        with torch.random.fork_rng(devices=()):
            density = cls([Flow(**architecture) for _ in range(members)], torch.zeros(size))
        load_weights(weights, density)
        return density.eval()

    def save(self, weights: str | Path, card: str | Path, contents: Mapping[str, Any]) -> None:
        """Writes the density.

        Args:
            weights: The safetensors file.
            card: The JSON file.
            contents: What the card says besides the `architecture`.
        """

        architecture = {
            **self.flows[0].architecture,
            "members": len(self.flows),
            "held_out": len(self.held_out),
        }
        save_model(weights, card, self, {"architecture": architecture, **contents})

    def log_prob(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """Log p of N objects by every member, shape (members, N), float64.

        NaN for objects with a feature or context that is not finite.

        Args:
            features: Shape (N, D).
            context: Shape (N, C).
        """

        return torch.stack([flow.log_prob(features, context) for flow in self.flows])

    @torch.no_grad()
    def score(self, features: Tensor, context: Tensor | None = None) -> Score:
        """Log of the mean density, which is itself a density, and how far the members differ.

        Args:
            features: Shape (N, D).
            context: Shape (N, C).
        """

        log_prob = self.log_prob(features, context)
        mean = log_prob.logsumexp(dim=0) - math.log(len(log_prob))
        spread = log_prob.std(dim=0, correction=min(1, len(log_prob) - 1))
        return Score(mean, spread, mean.isnan())

    def percentile(self, log_prob: Tensor) -> Tensor:
        """Share of held-out objects that are less probable, shape (N,), float64.

        The i-th of the H held-out objects in order of probability has the share i / (H + 1), which
        is what a new object's score is expected to exceed. Linear between them; the least is
        1 / (H + 1) and the largest H / (H + 1), because the held-out objects cannot tell more.

        Args:
            log_prob: As `score` gives it, shape (N,). NaN gives NaN.
        """

        values = np.interp(
            log_prob.double().cpu().numpy(),
            self.held_out.cpu().numpy(),
            np.arange(1, len(self.held_out) + 1) / (len(self.held_out) + 1),
        )
        return torch.from_numpy(values).to(log_prob.device)
