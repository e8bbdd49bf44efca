"""The training loop: reproducible, resumable, and clear about what goes wrong."""

import multiprocessing
import random
import shutil
import time
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

import uraniborg.training
from uraniborg.errors import UserError
from uraniborg.tables import read_table
from uraniborg.training import TrainingSettings, accelerator_for, fit, write_history


class Points:
    """Noisy points on a curved surface; remembers which rows were asked for."""

    def __init__(self, size, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(size, 8, generator=generator)
        self.y = self.x.sum(dim=1, keepdim=True) + self.x[:, :1].square()
        self.asked = []

    def __len__(self):
        return len(self.x)

    def batch(self, rows):
        self.asked.append(rows.tolist())
        return self.x[rows], self.y[rows]


class NamedPoints(Points):
    def batch(self, rows):
        return dict(zip("xy", super().batch(rows), strict=True))


TRAIN, VALID = Points(150), Points(40, seed=1)
SETTINGS = TrainingSettings(epochs=6, batch_size=32, learning_rate=0.02)


def network(width=16):
    torch.manual_seed(0)
    # No bias before the normalisation: its gradient would be rounding, which Adam magnifies.
    first = nn.Linear(8, width, bias=False)
    return nn.Sequential(
        first, nn.BatchNorm1d(width), nn.SiLU(), nn.Dropout(0.1), nn.Linear(width, 1)
    )


def loss(module, batch, epoch):
    x, y = batch
    noise = 0.01 * torch.randn_like(x)
    error = (module(x + noise) - y).square().mean()
    smooth = 1e-3 * module[0].weight.square().sum()
    return {"loss": error + smooth, "error": error, "smooth": smooth}


def train(directory, module=None, settings=SETTINGS, loss=loss, data=(TRAIN, VALID), **options):
    module = network() if module is None else module
    history = fit(module, loss, *data, settings, directory=directory, **options)
    write_history(directory / "history.parquet", history)
    return module, history


def products(directory):
    names = ("checkpoint.safetensors", "history.parquet")
    return [(directory / name).read_bytes() for name in names]


def changed(**values):
    return TrainingSettings(**{**vars(SETTINGS), **values})


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference")
    module, history = train(directory)
    return directory, module, history


# Learning


def test_learns(reference):
    _, _, history = reference
    assert history["valid_loss"].iloc[-1] < 0.6 * history["valid_loss"].iloc[0]


def test_history_has_units_and_every_term(reference):
    directory, _, history = reference
    assert list(history) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "valid_loss",
        "train_error",
        "train_smooth",
        "valid_error",
        "valid_smooth",
    ]
    np.testing.assert_allclose(
        history["valid_loss"], history["valid_error"] + history["valid_smooth"], rtol=1e-6
    )
    pd.testing.assert_frame_equal(read_table(directory / "history.parquet"), history)


def test_batches_may_have_names(tmp_path):
    def named(module, batch, epoch):
        return loss(module, (batch["x"], batch["y"]), epoch)

    data = NamedPoints(150), NamedPoints(40, seed=1)
    _, history = train(tmp_path, loss=named, data=data)
    assert history["valid_loss"].iloc[-1] < 0.6 * history["valid_loss"].iloc[0]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(size=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_every_object_once_per_epoch_in_batches_of_equal_size(tmp_path_factory, size, batch_size):
    data, valid = Points(size), Points(7)
    rule = changed(epochs=2, batch_size=batch_size)

    def plain(module, batch, epoch):
        return {"loss": module(batch[0]).square().mean()}

    train(tmp_path_factory.mktemp("once"), nn.Linear(8, 1), rule, plain, (data, valid))
    steps = -(-size // batch_size)
    epochs = [data.asked[1:][i * steps : (i + 1) * steps] for i in range(2)]
    for batches in epochs:
        sizes = [len(rows) for rows in batches]
        assert sorted(chain(*batches)) == list(range(size))
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
    steps = -(-7 // batch_size)
    assert list(chain(*valid.asked[1 : 1 + steps])) == list(range(7))


def test_order_is_new_in_every_epoch_and_with_every_seed(tmp_path):
    orders = []
    for seed in (1, 2):
        data = Points(60)
        rule = changed(epochs=2, batch_size=60, seed=seed)
        train(tmp_path / str(seed), settings=rule, data=(data, VALID))
        orders += [tuple(rows) for rows in data.asked[1:]]
    assert len(set(orders)) == 4


def test_validation_sees_the_same_random_numbers_in_every_epoch(tmp_path):
    def chance(module, batch, epoch):
        return {"loss": torch.rand(()) + 0 * module.weight.sum()}

    _, history = train(tmp_path, nn.Linear(8, 1), loss=chance)
    assert len(set(history["valid_loss"])) == 1
    assert len(set(history["train_loss"])) == len(history)


def test_means_are_over_objects_and_validation_does_not_learn(tmp_path):
    def value(module, batch, epoch):
        assert module.training == torch.is_grad_enabled()
        return {"loss": batch[1].mean() + 0 * module.weight.sum()}

    module = nn.Linear(8, 1)
    _, history = train(tmp_path, module, changed(epochs=1, batch_size=39), value)
    assert history["train_loss"][0] == pytest.approx(TRAIN.y.mean().item(), rel=1e-6)
    assert history["valid_loss"][0] == pytest.approx(VALID.y.mean().item(), rel=1e-6)


def test_module_ends_with_the_best_weights(tmp_path):
    def wandering(module, batch, epoch):
        # The optimum moves away after epoch 3, for the validation set it does not.
        target = 5.0 if module.training and epoch > 3 else 1.0
        return {"loss": (module.weight.mean() - target).square()}

    rule = changed(epochs=8, schedule="constant", learning_rate=0.1)
    module, history = train(tmp_path, nn.Linear(8, 1), rule, wandering)
    assert 0 < history["valid_loss"].idxmin() < 7
    assert not module.training
    best = (module.weight.mean().item() - 1.0) ** 2
    assert best == pytest.approx(history["valid_loss"].min(), rel=1e-4)
    rule = changed(epochs=8, schedule="constant", learning_rate=0.1, keep="last")
    module, history = train(tmp_path / "last", nn.Linear(8, 1), rule, wandering)
    last = (module.weight.mean().item() - 1.0) ** 2
    assert last == pytest.approx(history["valid_loss"].iloc[-1], rel=1e-4)


def test_patience_ends_training(tmp_path, capsys):
    def hopeless(module, batch, epoch):
        return {"loss": module.weight.mean() * 0 + epoch}

    _, history = train(tmp_path, nn.Linear(8, 1), changed(epochs=50, patience=3), hopeless)
    assert len(history) == 4
    assert "no improvement for 3 epochs" in capsys.readouterr().err


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_one_cycle_is_that_of_pytorch(tmp_path, epochs):
    seen = []

    def watch(optimizer, *_):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["betas"][0]))

    handle = register_optimizer_step_pre_hook(watch)
    train(tmp_path, settings=changed(epochs=epochs))
    handle.remove()
    optimizer = torch.optim.AdamW(network().parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=len(seen))
    expected = []
    for _ in seen:
        group = optimizer.param_groups[0]
        expected.append((group["lr"], group["betas"][0]))
        optimizer.step()
        if len(expected) < len(seen):
            schedule.step()
    assert len(seen) == 5 * epochs
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_other_schedules(tmp_path):
    _, constant = train(tmp_path / "a", settings=changed(schedule="constant"))
    assert (constant["learning_rate"] == 0.02).all()
    _, cosine = train(tmp_path / "b", settings=changed(schedule="cosine"))
    steps = 5 * np.arange(1, 7) - 1
    expected = 0.01 * (1 + np.cos(np.pi * steps / 30))
    np.testing.assert_allclose(cosine["learning_rate"], expected, rtol=1e-12)


@pytest.mark.parametrize("limit", [0.1, None])
def test_gradient_is_clipped(tmp_path, limit):
    norms = []

    def watch(optimizer, *_):
        gradients = [p.grad for p in optimizer.param_groups[0]["params"]]
        norms.append(torch.nn.utils.get_total_norm(gradients).item())

    handle = register_optimizer_step_pre_hook(watch)
    train(tmp_path, settings=changed(gradient_clip=limit))
    handle.remove()
    assert (max(norms) <= 0.1001) == (limit is not None)


def test_weight_decay(tmp_path):
    def nothing(module, batch, epoch):
        return {"loss": 0 * module.weight.sum()}

    module = nn.Linear(8, 1)
    before = module.weight.detach().clone()
    rule = changed(epochs=1, schedule="constant", weight_decay=0.5)
    train(tmp_path, module, rule, nothing)
    torch.testing.assert_close(module.weight.detach(), before * (1 - 0.02 * 0.5) ** 5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_precision_reaches_the_loss_and_spares_the_module(tmp_path, precision):
    kinds = set()

    def watched(module, batch, epoch):
        x, y = (value.to(next(module.parameters()).dtype) for value in batch)
        prediction = module(x)
        kinds.add(prediction.dtype)
        return {"loss": (prediction - y).square().mean()}

    module, history = train(tmp_path, settings=changed(precision=precision), loss=watched)
    assert kinds == {torch.bfloat16 if precision == "bf16-mixed" else torch.float64}
    assert module[0].weight.dtype == torch.float32
    assert history["valid_loss"].iloc[-1] < 0.6 * history["valid_loss"].iloc[0]


# The same bytes


def test_same_seed_gives_the_same_bytes(reference, tmp_path):
    torch.rand(7)
    train(tmp_path)
    assert products(tmp_path) == products(reference[0])


def test_another_seed_gives_another_result(reference, tmp_path):
    _, history = train(tmp_path, settings=changed(seed=2))
    assert (history["train_loss"] != reference[2]["train_loss"]).all()


def test_threads_agree_within_rounding(tmp_path):
    # Large enough that operations are divided among threads.
    data = Points(2000), Points(500, seed=1)
    rule = changed(epochs=3, batch_size=500)
    results = []
    for threads in (1, 2):
        directory = tmp_path / str(threads)
        results.append(train(directory, network(256), rule, data=data, threads=threads))
    (one, first), (two, second) = results
    np.testing.assert_allclose(first["valid_loss"], second["valid_loss"], rtol=1e-4)
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=1e-3, atol=1e-4)


def test_leaves_random_numbers_and_threads_as_they_were(tmp_path):
    threads = torch.get_num_threads()
    module = network()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    train(tmp_path, module, threads=threads % 2 + 1)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


# Resuming


class StoppedError(Exception):
    pass


@pytest.mark.parametrize(("epoch", "training"), [(1, True), (3, True), (4, False), (6, True)])
def test_interrupted_training_resumes_to_the_same_bytes(
    reference, tmp_path, capsys, epoch, training
):
    def breaking(module, batch, now):
        if (now, module.training) == (epoch, training):
            raise StoppedError
        return loss(module, batch, now)

    with pytest.raises(StoppedError):
        train(tmp_path, loss=breaking)
    module, history = train(tmp_path)
    continued = f"training: continues after epoch {epoch - 1} from" in capsys.readouterr().err
    assert continued == (epoch > 1)
    assert products(tmp_path) == products(reference[0])
    torch.testing.assert_close(module.state_dict(), reference[1].state_dict(), rtol=0, atol=0)
    pd.testing.assert_frame_equal(history, reference[2])


def slow_loss(module, batch, epoch):
    time.sleep(0.002)
    return loss(module, batch, epoch)


def test_training_killed_at_any_moment_resumes_to_the_same_bytes(reference, tmp_path):
    moments = random.Random(1)
    fork = multiprocessing.get_context("fork")
    killed = 0
    for _ in range(100):
        process = fork.Process(target=train, args=(tmp_path,), kwargs={"loss": slow_loss})
        process.start()
        process.join(moments.uniform(0.02, 0.1))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        killed += 1
    assert process.exitcode == 0
    assert killed >= 2
    assert products(tmp_path) == products(reference[0])


def test_ended_training_is_not_repeated(reference, tmp_path):
    def forbidden(module, batch, epoch):
        raise AssertionError

    shutil.copytree(reference[0], tmp_path, dirs_exist_ok=True)
    module, history = train(tmp_path, loss=forbidden)
    torch.testing.assert_close(module.state_dict(), reference[1].state_dict(), rtol=0, atol=0)
    pd.testing.assert_frame_equal(history, reference[2])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"settings": changed(learning_rate=0.03)}, "learning_rate"),
        ({"data": (Points(149), VALID)}, "training set"),
        ({"data": (TRAIN, Points(40, seed=2))}, "validation set"),
        ({"module": network(17)}, "module"),
        ({"identity": "another loss"}, "identity"),
    ],
)
def test_checkpoint_of_another_training_is_set_aside(reference, tmp_path, capsys, options, name):
    shutil.copytree(reference[0], tmp_path, dirs_exist_ok=True)
    _, history = train(tmp_path, **options)
    assert not history.equals(reference[2]) or name == "identity"
    message = capsys.readouterr().err
    assert f"belongs to another training (differs in {name})" in message
    aside = tmp_path / "checkpoint.set-aside.safetensors"
    assert aside.read_bytes() == products(reference[0])[0]


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


@pytest.mark.parametrize("damage", [truncated, flipped, lambda _: b"", lambda _: b"\xff" * 4000])
def test_damaged_checkpoint_is_set_aside(reference, tmp_path, capsys, damage):
    (tmp_path / "checkpoint.safetensors").write_bytes(damage(products(reference[0])[0]))
    train(tmp_path)
    message = capsys.readouterr().err
    assert "checkpoint.safetensors: is damaged" in message
    assert "training starts anew" in message
    assert products(tmp_path) == products(reference[0])


# What goes wrong


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["training", "validation"])
def test_loss_that_is_not_finite_ends_with_a_remedy(tmp_path, name, value):
    def failing(module, batch, epoch):
        broken = epoch == 2 and module.training == (name == "training")
        terms = loss(module, batch, epoch)
        return {**terms, "loss": terms["loss"] * value} if broken else terms

    with pytest.raises(UserError, match=rf"the {name} loss became {value} in epoch 2") as error:
        train(tmp_path, loss=failing)
    assert "learning_rate" in str(error.value)
    assert "gradient_clip" in str(error.value)


def test_bad_object_is_named(tmp_path):
    data = Points(100)
    data.x[37] = torch.nan
    with pytest.raises(UserError, match=r"the training set's rows [\d, ]*\b37\b[\d, ]*;"):
        train(tmp_path, data=(data, VALID), settings=changed(batch_size=10))


@pytest.mark.parametrize("name", ["training", "validation"])
def test_empty_set(tmp_path, name):
    data = (Points(0), VALID) if name == "training" else (TRAIN, Points(0))
    with pytest.raises(UserError, match=f"the {name} set is empty"):
        train(tmp_path, data=data)


@pytest.mark.parametrize("present", [0, 1])
def test_gpu_that_is_not_there(tmp_path, monkeypatch, present):
    monkeypatch.setattr(uraniborg.training, "num_cuda_devices", lambda: present)
    remedy = f"set `gpus: {present}`"
    with pytest.raises(UserError, match=remedy):
        accelerator_for(2)
    with pytest.raises(UserError, match=remedy):
        train(tmp_path, accelerator="cuda", devices=2)


def test_accelerator_for(monkeypatch):
    monkeypatch.setattr(uraniborg.training, "num_cuda_devices", lambda: 2)
    assert accelerator_for(0) == ("cpu", 1)
    assert accelerator_for(2) == ("cuda", 2)


# Several processes


def quiet_loss(module, batch, epoch):
    """Without random numbers or batch statistics, which differ between processes."""
    x, y = batch
    return {"loss": (module(x) - y).square().mean()}


def plain_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 1))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("size", "batch_size"), [(150, 32), (31, 7), (9, 1)])
def test_two_processes_agree_with_one(tmp_path, size, batch_size):
    # A parent that has used several threads must not block the processes that it forks.
    torch.set_num_threads(2)
    torch.rand(500, 500) @ torch.rand(500, 500)
    torch.set_num_threads(1)
    results = []
    for devices in (1, 2):
        results.append(
            train(
                tmp_path / str(devices),
                plain_network(),
                changed(epochs=4, batch_size=batch_size),
                quiet_loss,
                (Points(size), Points(13, seed=1)),
                devices=devices,
                threads=2,
            )
        )
    (one, first), (two, second) = results
    np.testing.assert_allclose(first, second, rtol=1e-4)
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=1e-3, atol=1e-4)


@pytest.mark.timeout(60)
def test_two_processes_repeat_and_resume(tmp_path):
    def breaking(module, batch, epoch):
        if epoch == 3:
            raise StoppedError
        return loss(module, batch, epoch)

    train(tmp_path / "whole", devices=2)
    with pytest.raises(Exception, match="StoppedError"):
        train(tmp_path / "broken", loss=breaking, devices=2)
    train(tmp_path / "broken", devices=2)
    assert products(tmp_path / "whole") == products(tmp_path / "broken")


@pytest.mark.timeout(60)
def test_two_processes_name_a_bad_object_that_only_one_of_them_sees(tmp_path):
    data = Points(100)
    data.x[37] = torch.nan
    with pytest.raises(UserError, match=r"training loss became nan in epoch 1.*\b37\b"):
        train(tmp_path, data=(data, VALID), settings=changed(batch_size=10), devices=2)
