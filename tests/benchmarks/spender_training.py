"""CPU time and memory that the peer `spender` and our autoencoder need to learn the same spectra.

Both sides read the same arrays and see the flux alone; the test loss is 0.5 mean(ivar (flux -
model)^2) over held-out spectra. CPU time (user and system, of the whole process) counts from before
the model is made, for ours from before its rest-frame basis is fitted; evaluations of the test loss
do not count. Each training is a process of its own, so that its peak memory is its own too.

    python spender_training.py arrays DATA --spectra 00*.arrow --truth 00*.arrow
    python spender_training.py train spender DATA run.json --seed 1 --cpu-minutes 15
    python spender_training.py train flux DATA run.json --seed 1 --epochs 40
    python spender_training.py train flux DATA memory.json --purpose memory --epochs 2
    python spender_training.py table DATA spender_benchmark.parquet run_*.json

`spender` needs the extra `peers`. Threads are those of OMP_NUM_THREADS.
"""

import argparse
import copy
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LATENT_SIZE, Z_MAX = 10, 0.5
SPLITS = {"valid": 0.1, "test": 0.18}
SIZES = {"train": 2048, "valid": 512, "test": 1000}
VECTORS = ("flux", "ivar", "z")
# Tuning records the loss of the validation spectra, so that no setting is chosen by the test
# spectra; a run for memory is a few steps with batches of the same size on both sides.
PURPOSES = ("training", "tuning", "memory")
MEMORY = ("side", "batch_size", "peak_memory", "baseline_memory")
# Our model under the peer's conditions: flux alone in, and what is decoded is in units of the norm.
SAME_TASK = {"weighted": False, "amplitude": "norm"}
# As the workflow builds it, which is another task: the encoder also sees the inverse variance, and
# the amplitude is fitted to the data.
ARCHITECTURES = {
    "published": {"encoder": "published", "decoder": "published", **SAME_TASK},
    "flux": {"encoder": "flux", **SAME_TASK},
    "flux_weighted": {"encoder": "flux", "weighted": True, "amplitude": "best_fit"},
}

Reconstruct = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Flux (N, L), ivar (N, L) and redshift (N,) to the model (N, L)."""


@dataclass(frozen=True)
class Arrays:
    """Spectra in memory: flux (N, L) in units of the norm, its ivar (N, L), redshift (N,)."""

    flux: Tensor
    ivar: Tensor
    z: Tensor

    @classmethod
    def load(cls, folder: Path, part: str) -> "Arrays":
        return cls(*(torch.from_numpy(np.load(folder / f"{part}_{name}.npy")) for name in VECTORS))

    def __len__(self) -> int:
        return len(self.z)

    def batch(self, rows: np.ndarray | slice) -> tuple[Tensor, Tensor, Tensor]:
        return self.flux[rows], self.ivar[rows], self.z[rows]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def loss(self, reconstruct: Reconstruct) -> float:
        """Mean loss, in batches so small that they do not add to the peak memory of a training."""

        total = 0.0
        with torch.no_grad():
            for flux, ivar, z in self.batches(16):
                residual = flux - reconstruct(flux, ivar, z)
                total += 0.5 * (ivar * residual.square()).mean(dim=1).double().sum().item()
        return total / len(self)


class Recorder:
    """Loss along CPU time, without the time for finding it; the file is renewed each time."""

    def __init__(self, held_out: Arrays, path: Path, about: dict[str, Any]) -> None:
        self.held_out, self.path = held_out, path
        self.about = {**about, "baseline_memory": peak_memory()}
        self.history: list[dict[str, float]] = []
        self.excluded = time.process_time()

    def record(self, epoch: int, reconstruct: Reconstruct) -> None:
        now = time.process_time()
        row = {"epoch": epoch, "cpu_time": now - self.excluded}
        row["test_loss"] = self.held_out.loss(reconstruct)
        self.history.append(row)
        print(row, flush=True)
        contents = {**self.about, "peak_memory": peak_memory(), "history": self.history}
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps(contents, indent=1))
        partial.replace(self.path)
        self.excluded += time.process_time() - now


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB."""

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def epochs_within(cpu_minutes: float, step: Callable[[], object], steps: int) -> int:
    """Epochs of so many steps that fit into the CPU time, from the time of a few steps."""

    step()
    start = time.process_time()
    for _ in range(3):
        step()
    return max(1, round(60 * cpu_minutes * 3 / (time.process_time() - start) / steps))


def train_spender(options: argparse.Namespace, train: Arrays, recorder: Recorder) -> None:
    """The peer's classes, trained as its own script for SDSS does: Adam with one cycle, float32.

    There the learning rate changes once per epoch, of which there are hundreds; here with every
    step. Its loss is a sum over the batch, here the mean, so that a limit on the gradient means the
    same for every batch size; Adam does not notice.
    """

    import spender

    class Spectrograph(spender.Instrument):
        """Without line-spread function and calibration, as the peer's SDSS."""

    wavelength = 10 ** torch.arange(3.578, 3.97, 1e-4)[: train.flux.shape[1]]
    low, high = wavelength[0].item(), wavelength[-1].item()
    rest = torch.linspace(low / (1 + Z_MAX), high, int(len(wavelength) * (1 + Z_MAX)))
    instrument = Spectrograph(wavelength)
    torch.manual_seed(options.seed)
    model = spender.SpectrumAutoencoder(instrument, rest, n_latent=LATENT_SIZE)
    recorder.about |= {
        "version": spender.__version__,
        "parameters": sum(values.numel() for values in model.parameters()),
    }
    steps = -(-len(train) // options.batch_size)

    def loss(model: torch.nn.Module, rows: np.ndarray) -> Tensor:
        flux, ivar, z = train.batch(rows)
        return model.loss(flux, ivar, instrument=instrument, z=z) / len(rows)

    if options.epochs is None:
        scratch, rows = copy.deepcopy(model), np.arange(options.batch_size)
        step = lambda: loss(scratch, rows).backward()  # noqa: E731
        options.epochs = epochs_within(options.cpu_minutes, step, steps)
    recorder.about["epochs"] = options.epochs
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=steps * options.epochs
    )
    generator = np.random.default_rng(options.seed)
    for epoch in range(1, options.epochs + 1):
        model.train()
        for rows in np.array_split(generator.permutation(len(train)), steps):
            optimizer.zero_grad()
            loss(model, rows).backward()
            if options.clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
            schedule.step()
        model.eval()
        recorder.record(epoch, lambda flux, ivar, z: model(flux, instrument=instrument, z=z))


def train_ours(
    options: argparse.Namespace, train: Arrays, valid: Arrays, recorder: Recorder
) -> None:
    """Our model and training loop: its validation and checkpoints are part of its CPU time."""

    from uraniborg.grids import WavelengthGrid
    from uraniborg.spectra.autoencoder import SpectrumAutoencoder
    from uraniborg.spectra.basis import fit_basis
    from uraniborg.spectra.losses import fidelity
    from uraniborg.spectra.transform import RedshiftTransform
    from uraniborg.training import TrainingSettings, fit

    grid = WavelengthGrid("log10", 3.578, 1e-4, train.flux.shape[1])
    architecture = {
        "decoder": "low_rank",
        "latent_size": LATENT_SIZE,
        "rank": options.rank,
        "z_min": -0.01,
        "z_max": Z_MAX,
        "oversampling": 1,
        "lsf": "none",
        **ARCHITECTURES[options.side],
    }
    basis = None
    if architecture["decoder"] == "low_rank":
        transform = RedshiftTransform.of(architecture, grid)
        few = Arrays(*train.batch(slice(options.basis_spectra)))
        basis = fit_basis(few.batches(128), transform, options.rank)
    torch.manual_seed(options.seed)
    model = SpectrumAutoencoder.build(architecture, grid, basis)
    recorder.about |= {
        "version": "",
        "parameters": sum(values.numel() for values in model.parameters()),
        "architecture": architecture,
        "basis_spectra": options.basis_spectra,
    }
    recorded = 0

    def loss(model: torch.nn.Module, batch: Sequence[Tensor], epoch: int) -> dict[str, Tensor]:
        nonlocal recorded
        # The first validation batch of an epoch is where its training has just ended.
        if not model.training and epoch > recorded:
            recorded = epoch
            recorder.record(epoch, lambda *batch: model(*batch).observed)
        flux, ivar, _ = batch
        return {"loss": fidelity(flux, ivar, model(*batch).observed)}

    if options.epochs is None:
        scratch, few = copy.deepcopy(model), train.batch(np.arange(options.batch_size))
        step = lambda: loss(scratch, few, 0)["loss"].backward()  # noqa: E731
        steps = -(-len(train) // options.batch_size)
        options.epochs = epochs_within(options.cpu_minutes, step, steps)
    recorder.about["epochs"] = options.epochs
    settings = TrainingSettings(
        options.epochs,
        options.batch_size,
        options.learning_rate,
        gradient_clip=options.clip,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        threads = torch.get_num_threads()
        fit(model, loss, train, valid, settings, directory=folder, threads=threads)


def train(options: argparse.Namespace) -> None:
    """Trains one side with one seed."""

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    train, valid, test = (Arrays.load(options.data, part) for part in SIZES)
    train = Arrays(*train.batch(slice(options.spectra)))
    about = {"side": options.name or options.side} | {
        name: getattr(options, name)
        for name in ("seed", "batch_size", "learning_rate", "clip", "purpose")
    }
    about |= {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "spectra": len(train),
    }
    few = Arrays(*test.batch(slice(16)))
    held_out = {"training": test, "tuning": valid, "memory": few}[options.purpose]
    recorder = Recorder(held_out, options.output, about)
    if options.side == "spender":
        train_spender(options, train, recorder)
    else:
        train_ours(options, train, valid, recorder)


def write_arrays(options: argparse.Namespace) -> None:
    """Writes the arrays that both sides read, the first of each split of a survey."""

    from uraniborg.spectra.dataset import SpectraDataset
    from uraniborg.surveys.splits import split_rows
    from uraniborg.tables import Spectra

    spectra, truth = Spectra(options.spectra), Spectra(options.truth)
    options.data.mkdir(parents=True, exist_ok=True)
    splits = split_rows(spectra.column("object_id"), SPLITS)
    for part, size in SIZES.items():
        dataset = SpectraDataset(spectra, splits[part][:size])
        for name, values in dataset.batch(np.arange(len(dataset)))._asdict().items():
            np.save(options.data / f"{part}_{name}.npy", values.float().numpy())
        noiseless = truth.vectors("flux", dataset.rows) / dataset.norm[:, None]
        np.save(options.data / f"{part}_truth.npy", noiseless)


def baseline_runs(folder: Path) -> list[dict[str, Any]]:
    """The noiseless spectra, and principal components as many as latents with an amplitude fitted
    to each spectrum, as runs of one evaluation."""

    from uraniborg.grids import WavelengthGrid
    from uraniborg.nets.encoders import RestframeEncoder
    from uraniborg.spectra.basis import fit_basis
    from uraniborg.spectra.transform import RedshiftTransform

    train, test = Arrays.load(folder, "train"), Arrays.load(folder, "test")
    truth = torch.from_numpy(np.load(folder / "test_truth.npy"))
    floor = 0.5 * (test.ivar * (test.flux - truth).square()).mean(dtype=torch.float64).item()
    start = time.process_time()
    transform = RedshiftTransform(WavelengthGrid("log10", 3.578, 1e-4, test.flux.shape[1]), Z_MAX)
    basis = fit_basis(train.batches(128), transform, LATENT_SIZE)
    cpu_time = time.process_time() - start
    projection = RestframeEncoder(LATENT_SIZE, transform, *basis)

    def components(flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        amplitude, coefficients = projection.coefficients(flux, ivar, z)
        restframe = basis.mean + coefficients @ basis.spectra
        return amplitude[:, None] * transform(restframe, z)

    losses = {"pca": (cpu_time, test.loss(components)), "truth": (0.0, floor)}
    return [
        {"side": side, "seed": 0, "epoch": 0, "cpu_time": seconds, "test_loss": loss}
        for side, (seconds, loss) in losses.items()
    ]


def write_recorded(options: argparse.Namespace) -> None:
    """Gathers runs and the baselines in the table that ships with the project."""

    import pandas as pd

    from uraniborg.spectra.peer_training import PEER, TRAINING_COLUMNS
    from uraniborg.tables import write_table

    torch.set_num_threads(1)
    runs = [json.loads(path.read_text()) for path in options.runs]
    kinds: dict[str, list[dict[str, Any]]] = {purpose: [] for purpose in PURPOSES}
    for run in runs:
        kinds[run["purpose"]].append(run)
    rows = [
        {name: {**run, **row}[name] for name in (column.name for column in TRAINING_COLUMNS)}
        for run in kinds["training"]
        for row in run["history"]
    ]
    about = {
        "settings": {run["side"]: _settings(run) for run in kinds["training"]},
        "tuning": [
            {"side": run["side"], **_settings(run), "valid_loss": run["history"][-1]["test_loss"]}
            for run in kinds["tuning"]
        ],
        "memory": [{name: run[name] for name in MEMORY} for run in kinds["memory"]],
    }
    peer = next(run for run in kinds["training"] if run["side"] == PEER)
    metadata = {
        "spender": peer["version"],
        "data": "simulated",
        "machine": options.machine,
        **{key: str(peer[key]) for key in ("torch", "threads", "wait_policy", "spectra")},
        **{key: json.dumps(value) for key, value in about.items()},
    }
    table = pd.DataFrame(rows + baseline_runs(options.data))
    write_table(options.output, table, TRAINING_COLUMNS, metadata)


def _settings(run: dict[str, Any]) -> dict[str, Any]:
    names = ("epochs", "batch_size", "learning_rate", "clip", "parameters", "architecture")
    return {name: run[name] for name in names if name in run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("arrays", help=write_arrays.__doc__)
    command.add_argument("data", type=Path, help="folder of the arrays")
    command.add_argument("--spectra", nargs="+", required=True, help="shards of a survey")
    command.add_argument("--truth", nargs="+", required=True, help="their noiseless shards")
    command.set_defaults(run=write_arrays)

    command = commands.add_parser("train", help=train.__doc__)
    command.add_argument("side", choices=["spender", *ARCHITECTURES])
    command.add_argument("data", type=Path, help="folder of the arrays")
    command.add_argument("output", type=Path, help="JSON file of the run")
    command.add_argument("--seed", type=int, default=1)
    length = command.add_mutually_exclusive_group(required=True)
    length.add_argument("--epochs", type=int)
    length.add_argument("--cpu-minutes", type=float, help="of training; sets the epochs")
    command.add_argument("--batch-size", type=int, default=16)
    command.add_argument("--learning-rate", type=float, default=1e-3, help="peak of the cycle")
    command.add_argument("--clip", type=float, help="largest norm of the gradient")
    command.add_argument("--rank", type=int, default=24, help="of our low-rank decoder")
    command.add_argument("--basis-spectra", type=int, default=1024, help="that its start is from")
    command.add_argument("--spectra", type=int, help="training spectra, all by default")
    command.add_argument("--name", help="in the table, that of the side by default")
    command.add_argument("--purpose", choices=PURPOSES, default="training")
    command.set_defaults(run=train)

    command = commands.add_parser("table", help=write_recorded.__doc__)
    command.add_argument("data", type=Path, help="folder of the arrays")
    command.add_argument("output", type=Path, help="Parquet file to write")
    command.add_argument("runs", type=Path, nargs="+", help="JSON files of runs, of tuning too")
    command.add_argument("--machine", default="", help="what it was recorded on")
    command.set_defaults(run=write_recorded)

    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
