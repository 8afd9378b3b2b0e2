"""Learning rates against their formulas."""

import itertools
import math

import pytest

from triptych.training.schedule import (
    constant,
    cosine,
    inverse_sqrt,
    linear,
    make_schedule,
    paper_peak,
    warmup_stable_decay,
)
from triptych.training.settings import OptimizerSettings

WARMUP, LAST, PEAK = 40, 400, 0.002


@pytest.mark.parametrize("d_model", [128, 512])
@pytest.mark.parametrize("warmup", [1, 40, 4000])
def test_the_paper_s_rate_to_the_letter(d_model, warmup):
    rate = inverse_sqrt(paper_peak(d_model, warmup), warmup)
    for step in (1, 2, 39, 40, 41, 3999, 4000, 4001, 100_000):
        equation_3 = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert rate(step) == pytest.approx(equation_3, rel=1e-12)


SCHEDULES = {
    "inverse_sqrt": inverse_sqrt(PEAK, WARMUP),
    "linear": linear(PEAK, WARMUP, LAST),
    "cosine": cosine(PEAK, WARMUP, LAST),
    "constant": constant(PEAK, WARMUP),
    "wsd": warmup_stable_decay(PEAK, WARMUP, LAST, 0.2),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_grow_linearly_to_the_peak(name):
    rate = SCHEDULES[name]
    for update in range(1, WARMUP + 1):
        assert rate(update) == pytest.approx(PEAK * update / WARMUP, rel=1e-12)
    assert max(rate(update) for update in range(1, LAST + 1)) == pytest.approx(PEAK)


@pytest.mark.parametrize("name", SCHEDULES)
def test_none_ever_rises_again_and_none_is_negative(name):
    later = [SCHEDULES[name](update) for update in range(WARMUP, LAST + 50)]
    assert all(b <= a for a, b in itertools.pairwise(later))
    assert all(rate >= 0 for rate in later)


def test_linear_ends_just_after_the_last_update():
    rate, steps = SCHEDULES["linear"], LAST + 1 - WARMUP
    for update in range(WARMUP, LAST + 1):
        assert rate(update) == pytest.approx(PEAK * (LAST + 1 - update) / steps, rel=1e-12)
    assert rate(LAST) > 0
    assert rate(LAST + 1) == rate(LAST + 100) == 0


def test_cosine_is_half_a_wave():
    rate, steps = SCHEDULES["cosine"], LAST + 1 - WARMUP
    for update in range(WARMUP, LAST + 1):
        share = (update - WARMUP) / steps
        assert rate(update) == pytest.approx(PEAK * (1 + math.cos(math.pi * share)) / 2, rel=1e-9)
    assert rate(LAST) > 0
    assert rate(LAST + 1) == pytest.approx(0, abs=1e-15)


def test_constant_stays():
    assert SCHEDULES["constant"](10**9) == PEAK


@pytest.mark.parametrize("share", [0.1, 0.25, 1.0])
def test_warm_up_stable_decay_has_three_parts(share):
    """The last part is 1 − √ of the way through it; it ends just after the last update."""
    rate = warmup_stable_decay(PEAK, WARMUP, LAST, share)
    begin = max(WARMUP, LAST - share * LAST)
    for update in range(WARMUP, LAST + 2):
        done = max(0, (update - begin) / (LAST + 1 - begin))
        assert rate(update) == pytest.approx(PEAK * (1 - math.sqrt(done)), rel=1e-9, abs=1e-15)
    assert 0 < rate(LAST) < rate(begin + 1) < rate(begin) == PEAK
    assert rate(LAST + 1) == rate(LAST + 100) == 0


def test_the_settings_share_is_the_schedule_s():
    made = make_schedule(OptimizerSettings(schedule="wsd", warmup=9, decay_share=0.5), PEAK, 100)
    assert (made(50), made(51) < PEAK) == (PEAK, True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_settings_name_the_schedule(name):
    made = make_schedule(OptimizerSettings(schedule=name, warmup=WARMUP), PEAK, LAST)
    for update in (1, WARMUP, WARMUP + 7, LAST):
        assert made(update) == SCHEDULES[name](update)


@pytest.mark.parametrize("name", ["linear", "cosine", "wsd"])
def test_a_run_shorter_than_its_warm_up_still_has_a_rate(name):
    rate = make_schedule(OptimizerSettings(schedule=name, warmup=100), PEAK, 50)
    assert all(0 < rate(update) <= PEAK for update in range(1, 51))
