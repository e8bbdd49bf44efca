"""One training loop for every model: device, precision, seed, schedule, early stop and resume.

Every epoch begins with random numbers that follow from the seed and the epoch alone, and ends with
a checkpoint, so that a training which is killed and started again ends with the same bytes.
"""

import copy
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators.cuda import num_cuda_devices
from lightning_fabric.plugins.environments import LightningEnvironment
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.progress import Progress
from uraniborg.tables import Column, write_table

__all__ = ["Dataset", "TrainingSettings", "accelerator_for", "fit", "write_history"]

Batch = Sequence[Tensor] | Mapping[str, Tensor]
"""Tensors whose first dimension is the objects, by position or by name."""

Loss = Callable[[nn.Module, Any, int], Mapping[str, Tensor]]
"""Called with module, batch and epoch; returns named scalars, each a mean over the batch."""


class Dataset(Protocol):
    """Objects to train on."""

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray) -> Batch:
        """The objects at positions `rows`, gathered at once; random numbers belong in the loss."""
        ...


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained, with Adam (Kingma & Ba 2015, arXiv:1412.6980).

    Args:
        epochs: Passes over the training set at most.
        batch_size: Objects per step at most; over all devices, if there are several.
        learning_rate: Peak learning rate.
        schedule: `one_cycle` (Smith & Topin 2018, arXiv:1708.07120, in PyTorch's form as used by
            SPENDER: up during 30% of the steps and down again, the momentum the other way),
            `cosine` (down to zero, Loshchilov & Hutter 2017, arXiv:1608.03983) or `constant`.
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
        gradient_clip: Largest norm of the gradient, None for no limit.
        patience: Epochs without improvement after which training stops, None for never.
        keep: Weights of the `best` epoch, or of the `last`, where losses of different epochs cannot
            be compared because their weights change.
        precision: Arithmetic, in the words of Lightning Fabric.
        seed: Of the order of objects and of random numbers in module and loss, from 0.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    weight_decay: float = 0.0
    gradient_clip: float | None = 1.0
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    seed: int = 1


def accelerator_for(gpus: int) -> tuple[Literal["cpu", "cuda"], int]:
    """Fabric's names for a number of GPUs: (`cpu`, 1) for none, (`cuda`, gpus) otherwise.

    Args:
        gpus: The job's resource `gpu`.

    Raises:
        UserError: Fewer CUDA devices are present.
    """

    if gpus == 0:
        return "cpu", 1
    _check_devices("cuda", gpus)
    return "cuda", gpus


def fit(
    module: nn.Module,
    loss: Loss,
    train: Dataset,
    valid: Dataset,
    settings: TrainingSettings,
    *,
    directory: str | Path,
    identity: str = "",
    accelerator: Literal["cpu", "cuda"] = "cpu",
    devices: int = 1,
    threads: int = 1,
    description: str = "training",
) -> pd.DataFrame:
    """Trains a module and leaves it, on the CPU and in evaluation mode, with the weights to keep.

    Every epoch goes once through the training set in a new order, in the fewest batches of at most
    `batch_size` that are equal in size to within one object: none is left out, and no step rests on
    a small remainder. Then the validation set is seen, in fixed order and with the same random
    numbers each time; the epoch of the lowest validation loss is the best. Means are over objects.

    The file `checkpoint.safetensors` in `directory` is replaced after each epoch and continued from
    if it belongs to the same training: settings, module, data and `identity`. If it does not, or is
    damaged, it is renamed to `checkpoint.set-aside.safetensors` and training starts anew. A
    training that had ended is not repeated.

    With several devices each batch is divided among them and gradients are averaged by objects, so
    the result is that of one device but for rounding, as long as the loss is a mean over objects.
    Each of several processes computes with one thread: they are forked, and a forked process cannot
    use its parent's pool of threads.

    Args:
        module: What is trained.
        loss: Called as `loss(module, batch, epoch)`, with epochs from 1, for training and
            validation alike (`module.training` tells them apart). It uses the module that it is
            given, which is not the caller's own. Of the scalars that it returns, `loss` is
            minimised and the others are recorded.
        train: The training set.
        valid: The validation set.
        settings: How to train.
        directory: Folder of the checkpoint.
        identity: What else tells trainings apart, such as a digest of the code of the loss.
        accelerator: `cpu` or `cuda`.
        devices: Processes on the CPU, or GPUs.
        threads: CPU threads.
        description: What the progress bar says.

    Returns:
        One row per epoch: `epoch`, `learning_rate` (of its last step), `train_loss`, `valid_loss`,
        and `train_` and `valid_` followed by the name of each other term.

    Raises:
        UserError: A set is empty, a device is missing, or the loss is not finite.
    """

    for dataset, name in ((train, "training"), (valid, "validation")):
        if len(dataset) == 0:
            raise UserError(
                f"the {name} set is empty; enlarge the survey, relax its selection or change the "
                "fractions under `splits`."
            )
    _check_devices(accelerator, devices)
    with _reproducible(threads if devices == 1 else 1):
        store = _Store(
            Path(directory) / "checkpoint.safetensors",
            _fingerprint(module, train, valid, settings, identity),
        )
        state = store.load() or _State()
        if state.epoch:
            _say(f"{description}: continues after epoch {state.epoch} from {store.path}")
        if not state.ended(settings):
            fabric = Fabric(
                accelerator=accelerator,
                devices=devices,
                strategy="auto" if devices == 1 else "ddp_fork",
                precision=settings.precision,
                # The job starts its own processes, whatever a cluster's scheduler announces.
                plugins=[LightningEnvironment()],
            )
            # The copy spares the caller's module changes of device and precision.
            trainer = _Trainer(
                copy.deepcopy(module), loss, train, valid, settings, store, description
            )
            error = fabric.launch(trainer.run, state)
            # Left behind by Fabric; the next training finds a free port of its own.
            os.environ.pop("MASTER_PORT", None)
            if error is not None:
                raise error
            state = store.load()
        if state.epoch < settings.epochs:
            _say(f"{description}: ended early, no improvement for {state.stale} epochs")
    module.load_state_dict(state.tensors(settings.keep))
    module.cpu().eval()
    return pd.DataFrame(state.history)


def write_history(path: str | Path, history: pd.DataFrame) -> None:
    """Writes the table that `fit` returns as Parquet.

    Args:
        path: The file to write.
        history: One row per epoch.
    """

    columns = [
        Column("epoch", pa.int64(), "", "Passes over the training set"),
        Column("learning_rate", pa.float64(), "", "Learning rate of the epoch's last step"),
    ]
    sets = {"train": "training", "valid": "validation"}
    for name in history.columns.drop(["epoch", "learning_rate"]):
        prefix, term = name.split("_", 1)
        text = "Loss" if term == "loss" else f"Term `{term}` of the loss"
        columns.append(Column(name, pa.float64(), "", f"{text}, mean of the {sets[prefix]} set"))
    write_table(path, history, columns)


def _check_devices(accelerator: str, devices: int) -> None:
    # Counted without starting CUDA, after which no process could be forked.
    present = num_cuda_devices() if accelerator == "cuda" else devices
    if devices > present:
        found = f"only {present} CUDA devices are" if present else "no CUDA device is"
        raise UserError(
            f"the configuration asks for `gpus: {devices}` but {found} present; set `gpus: "
            f"{present}`, or run where there are enough."
        )


@dataclass(frozen=True)
class _State:
    """A training between two epochs; tensors are named `last.*`, `best.*` and `optimizer.*`."""

    epoch: int = 0
    best_loss: float = math.inf
    stale: int = 0
    history: Sequence[dict[str, float]] = ()
    scaler: dict[str, float] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)

    def ended(self, settings: TrainingSettings) -> bool:
        exhausted = settings.patience is not None and self.stale >= settings.patience
        return exhausted or self.epoch >= settings.epochs

    def tensors(self, kind: str) -> dict[str, Tensor]:
        prefix = f"{kind}."
        return {k.removeprefix(prefix): v for k, v in self.values.items() if k.startswith(prefix)}


class _Store:
    """The checkpoint's file: tensors in safetensors, everything else as JSON in its header."""

    def __init__(self, path: Path, fingerprint: dict[str, Any]) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, state: _State) -> None:
        contents = {key: value for key, value in vars(state).items() if key != "values"}
        contents |= {"fingerprint": self.fingerprint, "digest": _digest(state.values)}
        with atomic(self.path) as temporary:
            save_file(state.values, temporary, {"training": json.dumps(contents)})

    def load(self) -> _State | None:
        """The checkpoint, or None if there is none to continue from."""

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                contents = json.loads(file.metadata()["training"])
                values = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            intact = contents.pop("digest") == _digest(values)
            fingerprint = contents.pop("fingerprint")
            state = _State(**contents, values=values)
        except (SafetensorError, ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            return self._set_aside("is damaged")
        if fingerprint != self.fingerprint:
            keys = fingerprint.keys() | self.fingerprint.keys()
            changed = sorted(k for k in keys if fingerprint.get(k) != self.fingerprint.get(k))
            return self._set_aside(f"belongs to another training (differs in {', '.join(changed)})")
        return state

    def _set_aside(self, reason: str) -> None:
        aside = self.path.with_suffix(".set-aside.safetensors")
        self.path.replace(aside)
        _say(f"{self.path}: {reason}; it is now {aside.name} and training starts anew.")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _fingerprint(
    module: nn.Module,
    train: Dataset,
    valid: Dataset,
    settings: TrainingSettings,
    identity: str,
) -> dict[str, Any]:
    """What makes a training this training and no other, as JSON."""

    shapes = {key: [str(v.dtype), *v.shape] for key, v in module.state_dict().items()}
    data = {}
    for name, dataset in (("training set", train), ("validation set", valid)):
        size = len(dataset)
        batch = dataset.batch(np.unique(np.linspace(0, size - 1, min(size, 64)).astype(int)))
        named = batch if isinstance(batch, Mapping) else dict(enumerate(batch))
        data[name] = [size, _digest({str(key): value for key, value in named.items()})]
    module_text = json.dumps([repr(module), shapes])
    return {
        **asdict(settings),
        **data,
        "module": hashlib.sha256(module_text.encode()).hexdigest(),
        "identity": identity,
    }


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        # A copy, because a tensor of one element may be contiguous and still have a strange stride.
        values = tensors[name].detach().clone(memory_format=torch.contiguous_format)
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Fixed number of threads and deterministic algorithms; gives back what it found."""

    # Must be set before cuBLAS starts; it has no effect on the CPU.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    numpy_state = np.random.get_state()  # noqa: NPY002 (losses may use it)
    try:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_num_threads(before)


def _seed(*numbers: int) -> None:
    """Seeds torch and NumPy from several numbers."""

    seeds = np.random.SeedSequence(numbers).generate_state(2)
    torch.manual_seed(int(seeds[0]))
    np.random.seed(int(seeds[1]))  # noqa: NPY002 (losses may use it)


class _Objective(nn.Module):
    """The loss as a forward pass, so that Fabric's precision and DDP see all that it computes."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        return dict(self.loss(self.module, batch, epoch))


class _Trainer:
    """The loop itself, which every process runs with its own Fabric."""

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        train: Dataset,
        valid: Dataset,
        settings: TrainingSettings,
        store: _Store,
        description: str,
    ) -> None:
        self.module, self.objective = module, _Objective(module, loss)
        self.train, self.valid, self.settings = train, valid, settings
        self.store, self.description = store, description
        self.steps = math.ceil(len(train) / settings.batch_size)

    def run(self, fabric: Fabric, state: _State) -> UserError | None:
        """Trains to the end. Errors are returned because a process cannot raise in its parent."""

        self.fabric = fabric
        self._setup(state)
        size = len(self.train)
        progress = Progress(
            self.settings.epochs * size,
            self.description,
            initial=state.epoch * size,
            visible=fabric.is_global_zero,
        )
        try:
            with progress:
                while not state.ended(self.settings):
                    state = self._epoch(state, progress)
                    if fabric.is_global_zero:
                        self.store.save(state)
                    valid_loss = state.history[-1]["valid_loss"]
                    progress.note(epoch=state.epoch, valid_loss=valid_loss, best=state.best_loss)
        except UserError as error:
            return error
        return None

    def _setup(self, state: _State) -> None:
        # Fabric cannot clip gradients whose scaling a fused step would undo.
        fused = self.settings.precision != "16-mixed"
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), weight_decay=self.settings.weight_decay, fused=fused
        )
        self.objective, self.stepper = self.fabric.setup(self.objective, self.optimizer)
        if state.epoch == 0:
            return
        self.module.load_state_dict(state.tensors("last"))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.tensors("optimizer").items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.fabric.strategy.precision.load_state_dict(state.scaler)

    def _epoch(self, state: _State, progress: Progress) -> _State:
        epoch, settings, rank = state.epoch + 1, self.settings, self.fabric.global_rank
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(self.train))
        batches = np.array_split(order, self.steps)

        def step(index: int, loss: Tensor) -> None:
            self._step((epoch - 1) * self.steps + index, loss)
            progress.advance(len(batches[index]))

        _seed(settings.seed, rank, epoch)
        self.objective.train()
        train = self._means("training", self.train, batches, epoch, step)
        _seed(settings.seed, rank, 0)
        self.objective.eval()
        batches = np.array_split(
            np.arange(len(self.valid)), math.ceil(len(self.valid) / settings.batch_size)
        )
        with torch.no_grad():
            valid = self._means("validation", self.valid, batches, epoch)

        # The losses come first, the other terms after them.
        row = {"epoch": epoch, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        row |= {"train_loss": train["loss"], "valid_loss": valid["loss"]}
        row |= {f"train_{name}": value for name, value in train.items()}
        row |= {f"valid_{name}": value for name, value in valid.items()}
        improved = valid["loss"] < state.best_loss
        last = _copied(self.module.state_dict())
        values = {f"last.{name}": value for name, value in last.items()}
        best = _copied(last) if improved else state.tensors("best")
        values |= {f"best.{name}": value for name, value in best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            values |= {f"optimizer.{index}.{name}": v for name, v in _copied(moments).items()}
        return _State(
            epoch=epoch,
            best_loss=valid["loss"] if improved else state.best_loss,
            stale=0 if improved else state.stale + 1,
            history=[*state.history, row],
            scaler=self.fabric.strategy.precision.state_dict(),
            values=values,
        )

    def _means(
        self,
        name: str,
        dataset: Dataset,
        batches: Sequence[np.ndarray],
        epoch: int,
        step: Callable[[int, Tensor], None] | None = None,
    ) -> dict[str, float]:
        """Goes through a set, learning if there is a `step`; the mean of each term over objects."""

        rank, processes = self.fabric.global_rank, self.fabric.world_size
        recorded, names = [], None
        for index, rows in enumerate(batches):
            share = rows[rank::processes]
            weight = len(share) / len(rows)
            if not len(share):
                # A batch smaller than the number of processes: take part, but do not count.
                share = rows[:1]
            terms = self.objective(self.fabric.to_device(dataset.batch(share)), epoch)
            names = names or list(terms)
            recorded.append(torch.stack([terms[name].detach() for name in names]) * weight)
            if step is not None:
                # Fabric averages gradients over processes; this makes it an average over objects.
                step(index, terms["loss"] * (weight * processes))

        # Read once per epoch, because a GPU would have to stop for every value that is looked at.
        means = self.fabric.all_reduce(torch.stack(recorded).double(), reduce_op="sum").cpu()
        finite = means[:, names.index("loss")].isfinite()
        if not finite.all():
            index = int(finite.int().argmin())
            listed = ", ".join(str(row) for row in sorted(batches[index])[:10])
            raise UserError(
                f"the {name} loss became {means[index, names.index('loss')].item()} in epoch "
                f"{epoch}, first in the batch of the {name} set's rows {listed}"
                f"{', ...' if len(batches[index]) > 10 else ''}; lower `learning_rate`, set "
                "`gradient_clip`, or look for bad values in these objects."
            )
        sizes = torch.tensor([len(rows) for rows in batches], dtype=torch.float64)
        return dict(zip(names, (sizes @ means / sizes.sum()).tolist(), strict=True))

    def _step(self, number: int, loss: Tensor) -> None:
        rate, momentum = _schedule(
            self.settings.schedule, number, self.steps * self.settings.epochs
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.settings.learning_rate
            group["betas"] = (momentum, 0.999)
        self.fabric.backward(loss)
        if self.settings.gradient_clip is not None:
            self.fabric.clip_gradients(
                self.objective,
                self.stepper,
                max_norm=self.settings.gradient_clip,
                error_if_nonfinite=False,
            )
        self.stepper.step()
        self.stepper.zero_grad()


def _schedule(name: str, step: int, steps: int) -> tuple[float, float]:
    """Learning rate in units of its peak, and Adam's first momentum, at a step from 0."""

    if name == "constant":
        return 1.0, 0.9
    if name == "cosine":
        return _cosine(1.0, 0.0, step / steps), 0.9
    peak = max(0.3 * steps - 1, 0)
    if step < peak:
        return _cosine(1 / 25, 1.0, step / peak), _cosine(0.95, 0.85, step / peak)
    done = (step - peak) / max(steps - 1 - peak, 1)
    return _cosine(1.0, 1 / 25e4, done), _cosine(0.85, 0.95, done)


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors demands."""

    return {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
