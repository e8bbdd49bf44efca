"""How probable an object's features are: ensembles of normalising flows, and their calibration."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from scipy.stats import ks_2samp, kstest
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.nets.flows import Flow
from uraniborg.nets.weights import load_card, load_weights, save_model
from uraniborg.tables import Column
from uraniborg.training import TrainingSettings, fit

__all__ = [
    "CALIBRATION_COLUMNS",
    "DENSITY_TRAINING",
    "HELD_OUT_COLUMNS",
    "HISTORY_COLUMNS",
    "Calibration",
    "Density",
    "Sample",
    "Score",
    "calibration",
    "train_density",
]

DENSITY_TRAINING = TrainingSettings(
    epochs=30, batch_size=512, learning_rate=0.02, schedule="one_cycle"
)
"""Chosen by the likelihood of validation objects, for thousands of objects in seconds.

The best epoch is kept, but none is spared: the likelihood rises most when the rate falls.
"""

FEWEST = 100
"""Objects without which no density is trained."""

HISTORY_COLUMNS = (
    Column("member", pa.int64(), "", "Member of the ensemble, from 0"),
    Column("epoch", pa.int64(), "", "Passes over the member's training set"),
    Column("learning_rate", pa.float64(), "", "Learning rate of the epoch's last step"),
    Column("train_loss", pa.float64(), "", "Minus the trimmed mean log p, training set"),
    Column("valid_loss", pa.float64(), "", "Minus the trimmed mean log p, objects left out"),
)
"""One row per member and epoch."""

HELD_OUT_COLUMNS = (
    Column("sample", pa.string(), "", "held out, or drawn from the density itself"),
    Column("log_prob", pa.float64(), "", "Log of the ensemble's mean density"),
    Column("percentile", pa.float64(), "", "Share of held-out objects that are less probable"),
)
"""One row per object: the held-out ones, and as many that are drawn from the density."""

CALIBRATION_COLUMNS = (
    Column("check", pa.string(), "", "percentile, log_prob or base"),
    Column("member", pa.int64(), "", "Member of the ensemble, -1 for all of it"),
    Column("dimension", pa.int64(), "", "Dimension of the base space, -1 where it has no meaning"),
    Column("n", pa.int64(), "", "Held-out objects"),
    Column("statistic", pa.float64(), "", "Kolmogorov-Smirnov distance from what is expected"),
    Column("p_value", pa.float64(), "", "Probability of a larger distance by chance"),
    Column("mean", pa.float64(), "", "Mean of the held-out values"),
    Column("spread", pa.float64(), "", "Standard deviation of the held-out values"),
)
"""One row per check: see `calibration`."""


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


def train_density(
    features: Tensor,
    context: Tensor,
    held_out: Sample,
    settings: TrainingSettings = DENSITY_TRAINING,
    *,
    members: int = 5,
    kind: Literal["autoregressive", "spline"] = "spline",
    trim: float = 0.03,
    directory: str | Path,
    identity: str = "",
    threads: int = 1,
) -> tuple[Density, pd.DataFrame]:
    """Trains an ensemble of flows.

    Members differ in initialisation, in the order of their transforms and in data: each is trained
    on a bootstrap sample, so that their spread is the sampling error of log p (Efron 1979), and
    stopped by the objects that its sample left out. Its loss is the mean over the most probable
    objects of a batch (maximum trimmed likelihood, Hadi & Luceño 1997): a survey contains outliers,
    and a density that has learnt them does not find them.

    Objects whose features are not finite take no part.

    Args:
        features: Training objects, shape (N, D).
        context: What they are judged given, shape (N, C); C may be 0.
        held_out: Objects that no member sees, by which scores become percentiles.
        settings: How each member is trained; member m has a seed made of `settings.seed` and m.
        members: Size of the ensemble.
        kind: See `Flow`.
        trim: Share of each batch, the least probable, that is left out of the loss. More than the
            outliers expected, and a few per cent at most.
        directory: Folder of the checkpoints.
        identity: What else tells trainings apart.
        threads: CPU threads.

    Returns:
        The density and one row per member and epoch, `HISTORY_COLUMNS`.

    Raises:
        UserError: Fewer than 100 objects have finite features, no held-out object has them, or a
            feature is constant.
    """

    finite = features.isfinite().all(dim=1) & context.isfinite().all(dim=1)
    if finite.sum() < FEWEST:
        raise UserError(
            f"only {int(finite.sum())} of {len(finite)} training objects have finite features, "
            f"but a density needs {FEWEST}; enlarge the survey or relax its selection."
        )
    train = Sample(features[finite], context[finite])

    def loss(flow: nn.Module, batch: Sample, epoch: int) -> dict[str, Tensor]:
        log_prob = flow.log_prob(*batch)
        kept = math.ceil((1 - trim) * len(log_prob))
        return {"loss": -log_prob.topk(kept)[0].mean()}

    flows, histories = [], []
    for member in range(members):
        seed = int(np.random.SeedSequence((settings.seed, member)).generate_state(1)[0])
        drawn, left_out = _bootstrap(len(train.features), seed)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            flow = Flow(features.shape[1], context.shape[1], kind)
        flow.standardise_by(*train)
        history = fit(
            flow,
            loss,
            _Rows(train, drawn),
            _Rows(train, left_out),
            replace(settings, seed=seed),
            directory=Path(directory) / f"member_{member}",
            identity=f"{identity} trim {trim}",
            threads=threads,
            description=f"density, member {member + 1} of {members}",
        )
        flows.append(flow)
        histories.append(history.assign(member=member))
    score = Density(flows, torch.zeros(1)).score(*held_out)
    if score.flagged.all():
        raise UserError(
            "no held-out object has finite features, so that scores have nothing to be compared "
            "with; enlarge the survey or change the fractions under `splits`."
        )
    density = Density(flows, score.log_prob[~score.flagged]).eval()
    table = pd.concat(histories, ignore_index=True)
    return density, table[[column.name for column in HISTORY_COLUMNS]]


class Calibration(NamedTuple):
    """Whether a density is one.

    Attributes:
        values: One row per object, `HELD_OUT_COLUMNS`.
        checks: One row per check, `CALIBRATION_COLUMNS`.
    """

    values: pd.DataFrame
    checks: pd.DataFrame


@torch.no_grad()
def calibration(density: Density, sample: Sample, seed: int = 0) -> Calibration:
    """Compares a density with objects that neither its training nor its percentiles have seen.

    - `percentile`: percentiles of such objects are uniform between 0 and 1.
    - `log_prob`: log p of such objects is distributed as that of objects drawn from the density
      at the same contexts.
    - `base`: each member transforms such objects to a standard normal in every dimension.

    Args:
        density: The density.
        sample: Normal objects, of the population that it was trained on; those whose features are
            not finite are left out.
        seed: Of the objects drawn.
    """

    finite = sample.features.isfinite().all(dim=1) & sample.context.isfinite().all(dim=1)
    features, context = sample.features[finite], sample.context[finite]
    drawn = _drawn(density, context, torch.Generator(context.device).manual_seed(seed))

    tables = []
    for name, objects in (("held out", features), ("drawn", drawn)):
        log_prob = density.score(objects, context).log_prob
        percentile = density.percentile(log_prob)
        values = {"log_prob": log_prob.cpu().numpy(), "percentile": percentile.cpu().numpy()}
        tables.append(pd.DataFrame({"sample": name, **values}))
    held_out, own = tables

    def row(check: str, member: int, dimension: int, values: np.ndarray, test: Any) -> dict:  # noqa: ANN401
        return {
            "check": check,
            "member": member,
            "dimension": dimension,
            "n": len(values),
            "statistic": test.statistic,
            "p_value": test.pvalue,
            "mean": values.mean(),
            "spread": values.std(),
        }

    percentile, log_prob = held_out["percentile"].to_numpy(), held_out["log_prob"].to_numpy()
    checks = [
        row("percentile", -1, -1, percentile, kstest(percentile, "uniform")),
        row("log_prob", -1, -1, log_prob, ks_2samp(log_prob, own["log_prob"].to_numpy())),
    ]
    for member, flow in enumerate(density.flows):
        base = flow.to_base(features, context).double().cpu().numpy()
        for dimension, values in enumerate(base.T):
            checks.append(row("base", member, dimension, values, kstest(values, "norm")))
    return Calibration(pd.concat(tables, ignore_index=True), pd.DataFrame(checks))


def _bootstrap(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn with replacement, and those left out, in random order.

    In the order of the survey, outliers could come together in a batch and exceed its trimming.
    """

    generator = np.random.default_rng(seed)
    drawn = generator.integers(number, size=number)
    return drawn, generator.permutation(np.setdiff1d(np.arange(number), drawn))


def _drawn(density: Density, context: Tensor, generator: torch.Generator) -> Tensor:
    """One object per context, from a member at random: the mixture that the ensemble is."""

    members = len(density.flows)
    member = torch.randint(members, (len(context),), generator=generator, device=context.device)
    objects = context.new_empty(len(context), density.flows[0].features, dtype=torch.float32)
    for index, flow in enumerate(density.flows):
        mine = member == index
        objects[mine] = flow.sample(int(mine.sum()), context[mine], generator)
    return objects


class _Rows:
    """Some objects of a sample, as a training set."""

    def __init__(self, sample: Sample, rows: np.ndarray) -> None:
        self.sample, self.rows = sample, torch.from_numpy(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: np.ndarray) -> Sample:
        """The objects at positions `rows`."""

        chosen = self.rows[rows]
        return Sample(self.sample.features[chosen], self.sample.context[chosen])
