"""The small parts of the trainer: optimizer groups, signals, processes, TensorBoard."""

import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from triptych.errors import ConfigError
from triptych.training.distributed import Processes
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.progress import peak_memory
from triptych.training.settings import OptimizerSettings, TrainingSettings
from triptych.training.signals import StopRequest
from triptych.training.tensorboard import tensorboard_rows


def test_matrices_decay_and_norms_and_biases_do_not() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    optimizer = make_optimizer(model, OptimizerSettings(weight_decay=0.1))
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays[id(model[0].weight)] == 0.1
    assert [decays[id(p)] for p in (model[0].bias, model[1].weight, model[1].bias)] == [0, 0, 0]
    assert isinstance(optimizer, torch.optim.AdamW)
    assert type(make_optimizer(model, OptimizerSettings())) is torch.optim.Adam


def test_groups_learn_at_their_multiple_of_the_rate() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    factors = {"0": 0.25, "1": 1.0}
    settings = OptimizerSettings(weight_decay=0.1)
    optimizer = make_optimizer(model, settings, lambda name: factors[name[0]])
    set_learning_rate(optimizer, 0.8)
    seen = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups
            for p in g["params"]}  # fmt: skip
    assert seen == {
        id(model[0].weight): (0.2, 0.1),
        id(model[1].weight): (0.8, 0.1),
        id(model[1].bias): (0.8, 0.0),
    }
    optimizer.load_state_dict(optimizer.state_dict())
    set_learning_rate(optimizer, 0.4)
    assert {g["lr"] for g in optimizer.param_groups} == {0.1, 0.4}


def test_fused_adam_follows_the_equations_of_kingma_and_ba() -> None:
    """Three updates by hand: m, v, bias corrections, and the rate set before each."""
    p = nn.Parameter(torch.tensor([[1.0, -2.0]]))
    holder = nn.ParameterList([p])
    settings = OptimizerSettings(beta_1=0.9, beta_2=0.98, eps=1e-9)
    optimizer = make_optimizer(holder, settings)
    x, m, v = p.detach().double().clone(), torch.zeros(1, 2), torch.zeros(1, 2)
    for t, rate in enumerate((0.1, 0.2, 0.05), start=1):
        gradient = torch.tensor([[0.5 * t, -1.0]])
        p.grad = gradient.clone()
        set_learning_rate(optimizer, rate)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.98 * v + 0.02 * gradient**2
        x = x - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.98**t)).sqrt() + 1e-9)
        torch.testing.assert_close(p.detach().double(), x, rtol=1e-5, atol=1e-6)


def test_the_peak_of_memory_holds_what_was_held() -> None:
    device = torch.device("cpu")
    held = torch.ones(50_000_000)
    peak = peak_memory(device)
    assert peak >= held.nbytes
    del held
    assert peak_memory(device) >= 0.99 * peak  # pages are counted in batches
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak <= 1.01 * largest


def test_a_signal_asks_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_interrupt_leaves_at_once() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_batches_are_dealt_out_in_turn() -> None:
    dealt = [list(Processes(rank, 3).share(7)) for rank in range(3)]
    assert dealt == [[0, 3, 6], [1, 4], [2, 5]]


def test_tensorboard_gets_every_number(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    add = tensorboard_rows(tmp_path)
    add({"update": 3, "loss": 1.5, "samples": ["text"]})
    add({"update": 4, "valid_bleu": 20.0})
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["train/loss", "valid/bleu"]
    (point,) = events.Scalars("train/loss")
    assert (point.step, point.value) == (3, 1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("beta_1", 1.0), ("beta_2", -0.1), ("eps", 0.0), ("weight_decay", -1.0), ("clip_norm", -1.0)],
)
def test_an_optimizer_that_cannot_work_is_refused(name: str, value: float) -> None:
    """A negative clip_norm would turn every gradient round."""
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        OptimizerSettings(**{name: value})


def test_a_negative_interval_of_checkpoints_is_refused() -> None:
    with pytest.raises(ConfigError, match="checkpoint_every is -5"):
        TrainingSettings(checkpoint_every=-5)
