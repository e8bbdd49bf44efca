"""Trains ensembles of normalising flows on samples that contain outliers."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.nets.flows import Flow
from uraniborg.spectra.outliers.density import Density, Sample
from uraniborg.tables import Column
from uraniborg.training import TrainingSettings, fit

__all__ = ["DENSITY_TRAINING", "HISTORY_COLUMNS", "train_density"]

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


def _bootstrap(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn with replacement, and those left out, in random order.

    In the order of the survey, outliers could come together in a batch and exceed its trimming.
    """

    generator = np.random.default_rng(seed)
    drawn = generator.integers(number, size=number)
    return drawn, generator.permutation(np.setdiff1d(np.arange(number), drawn))


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
