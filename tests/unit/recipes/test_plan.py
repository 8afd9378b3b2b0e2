"""A plan: sizes by name, arithmetic, and what is written when such a run is really saved."""

import json
from pathlib import Path

import pytest
import torch

from triptych.errors import ConfigError, UsageError
from triptych.models.gpt import Gpt
from triptych.models.presets import gpt_preset
from triptych.recipes.plan import FAMILIES, Plan, measured_speed, plan
from triptych.recipes.plan_report import plan_json, plan_text
from triptych.recipes.plan_settings import PlanSettings
from triptych.runtime.memory import SENT_BYTES
from triptych.training import distributed
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.settings import OptimizerSettings
from triptych.training.state import TENSOR_FILE, Counters, write_state


def planned(preset: str, **changes: object) -> Plan:
    settings = PlanSettings(preset=preset, **{"tokens": 1e9, **changes})  # type: ignore[arg-type]
    return plan(settings, lambda: 1e11)


def test_published_sizes() -> None:
    assert planned("gpt2").parameters == 124_439_808
    assert planned("gpt2-xl").parameters == 1_557_611_200
    assert planned("translation-base").parameters == 63_082_496
    assert planned("big").parameters == 214_245_376


@pytest.mark.parametrize("family", FAMILIES)
def test_every_preset_of_every_family_has_a_plan(family: str) -> None:
    for name in FAMILIES[family]:
        for gpus in (0, 1, 8):
            found = planned(f"{family}-{name}", gpus=gpus)
            several = ["plain", "ddp", "fsdp2"]
            assert list(found.memory) == (several if gpus > 1 else several[:1])
            assert json.loads(plan_json(found))["family"] == family
            assert f"{found.parameters:,}" in plan_text(found)


def test_time_is_operations_over_speed() -> None:
    found = planned("gpt2", gpus=4, flops_per_second=5e14, share=0.5)
    assert found.seconds == pytest.approx(found.flops / (4 * 5e14 * 0.5))
    assert planned("gpt2").flops_per_second == 1e11  # what was measured
    # 6 · 124 M weights that multiply, positions left out, and 6 · L · E · T of attention
    per_token = 6 * (124_439_808 - 1024 * 768 - 121_344) + 6 * 12 * 768 * 1024
    assert found.flops == pytest.approx(1e9 * per_token, rel=1e-6)
    assert planned("gpt2", gpus=0).seconds == planned("gpt2", gpus=1).seconds


def test_what_is_computed_again_counts_once() -> None:
    """Training's share of peak does not count it as work, so neither does the time by a share."""
    again: dict[str, object] = {"activation_checkpointing": True}
    assert planned("gpt2", **again).flops == planned("gpt2").flops
    assert planned("gpt2", share=0.25, **again).seconds == planned("gpt2", share=0.25).seconds
    longer = planned("gpt2", **again).seconds / planned("gpt2").seconds  # where no share is given
    assert longer == pytest.approx(4 / 3)
    assert json.loads(plan_json(planned("gpt2", **again)))["share"] == 0.3


def test_what_is_measured_is_what_is_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's speed of a GPU, the CPU's of this CPU, whatever else the machine has."""
    monkeypatch.setattr(
        "triptych.recipes.plan.measure_peak_flops",
        lambda device, precision: {"cpu": 1e11, "cuda": 1e15}[device.type],
    )
    for_cpu = PlanSettings(preset="gpt2", tokens=1e9, gpus=0)
    for_gpus = PlanSettings(preset="gpt2", tokens=1e9, gpus=8)
    assert measured_speed(for_cpu, "cuda") == measured_speed(for_cpu, "cpu") == 1e11
    assert measured_speed(for_gpus, "cuda") == 1e15
    with pytest.raises(UsageError, match=r"--gpus is 8, but .* with --flops-per-second"):
        measured_speed(for_gpus, "cpu")


def test_rows_may_be_longer_where_training_allows_it() -> None:
    more = planned("gpt-nano", seq_len=512).parameters - planned("gpt-nano").parameters
    assert more == 256 * 128
    assert planned("bert-base", seq_len=128).seq_len == 128
    with pytest.raises(ConfigError, match="seq_len is 1024, more than the model's limit of 512"):
        planned("bert-base", seq_len=1024)


def test_what_is_meant_is_said() -> None:
    with pytest.raises(ConfigError, match="translation-nano or bert-nano or gpt-nano"):
        planned("nano")
    with pytest.raises(ConfigError, match=r"there are translation-nano.*big.*gpt2-xl"):
        planned("gpt3")


def test_dropout_is_of_everything() -> None:
    for preset in ("gpt2", "bert-base", "translation-base"):
        kept = planned(preset, dropout=0.0).memory["plain"].activations
        assert kept < planned(preset).memory["plain"].activations


def test_messages_of_gradients_are_as_large_as_they_are_sent() -> None:
    assert SENT_BYTES == distributed.SENT_BYTES
    gradients = [torch.zeros(n) for n in (5, 9_000_000, 8_000_000, 20_000_000, 3)]
    sizes = [[g.numel() for g in message] for message in distributed._messages(gradients)]
    assert sizes == [[5, 9_000_000], [8_000_000], [20_000_000], [3]]


def test_a_checkpoint_is_as_large_as_planned(tmp_path: Path) -> None:
    found = planned("gpt-nano", vocab_size=300)
    model = Gpt(gpt_preset("nano", 300))
    optimizer = make_optimizer(model, OptimizerSettings(weight_decay=0.1))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    set_learning_rate(optimizer, 0.0)
    optimizer.step()
    write_state(tmp_path, Counters(), optimizer, {}, {})
    size = (tmp_path / TENSOR_FILE).stat().st_size
    assert size == pytest.approx(found.checkpoint_bytes - found.model_bytes, rel=0.01)
