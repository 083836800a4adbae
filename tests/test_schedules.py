import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.schedules import Constant, Cosine, OneCycle, Step

RECORDED = Path(__file__).parent / "data" / "optim_trajectories.npz"

rates = st.floats(1e-6, 10.0)
parts = st.floats(0.0, 1.0)


@st.composite
def cosines(draw):
    warmup = draw(st.integers(0, 60))
    learning_rate = draw(rates)
    return Cosine(learning_rate, warmup + draw(st.integers(2, 200)), warmup, final=draw(parts) * learning_rate)


one_cycles = st.builds(
    OneCycle, rates, st.integers(2, 300), st.floats(0, 0.99), st.floats(1e-3, 1.0), final_factor=parts
)


def test_constant_is_the_same_at_every_step():
    assert [Constant(0.3)(k) for k in (0, 1, 10**9)] == [0.3, 0.3, 0.3]


def test_step_is_a_staircase():
    schedule = Step(1.0, every=3, factor=0.25)
    assert [schedule(k) for k in range(8)] == [1, 1, 1, 0.25, 0.25, 0.25, 0.0625, 0.0625]
    assert Step(5.0, every=2)(2) == pytest.approx(0.5, rel=1e-15)


def test_cosine_at_steps_worked_out_by_hand():
    # The cosine of 0, 45, 90, 135 and 180 degrees is 1, r, 0, -r, -1 with r = sqrt(1/2).
    r = math.sqrt(0.5)
    assert [Cosine(0.4, steps=5)(k) for k in range(7)] == pytest.approx(
        [0.4, 0.2 * (1 + r), 0.2, 0.2 * (1 - r), 0, 0, 0], abs=1e-16
    )
    assert [Cosine(0.5, steps=8, warmup=3, final=0.1)(k) for k in range(10)] == pytest.approx(
        [0.125, 0.25, 0.375, 0.5, 0.3 + 0.2 * r, 0.3, 0.3 - 0.2 * r, 0.1, 0.1, 0.1], abs=1e-16
    )


def test_shortest_cosine_is_the_peak_and_the_end():
    assert [Cosine(0.5, steps=2, final=0.125)(k) for k in range(3)] == [0.5, 0.125, 0.125]


def test_cosine_to_its_own_peak_is_a_warm_up_alone():
    assert [Cosine(0.4, 100, warmup=1, final=0.4)(k) for k in (0, 1, 50, 99, 200)] == [
        0.2,
        0.4,
        0.4,
        0.4,
        0.4,
    ]


@given(cosines())
def test_cosine_rises_to_its_peak_then_falls_to_its_end(schedule):
    values = np.array([schedule(k) for k in range(schedule.steps + 3)])
    peak, end, w = schedule.learning_rate, schedule.final, schedule.warmup
    rounding = 1e-14 * peak
    assert values[0] > 0
    assert values[w] == pytest.approx(peak, rel=1e-14)
    assert (values[schedule.steps - 1 :] == end).all()
    assert (np.diff(values[: w + 1]) > 0).all()
    assert (np.diff(values[w:]) <= rounding).all()
    assert values.max() <= peak + rounding
    assert values[w:].min() >= end


@given(cosines())
def test_cosine_has_no_jumps(schedule):
    values = np.array([schedule(k) for k in range(schedule.steps + 3)])
    w, fall = schedule.warmup, schedule.steps - 1 - schedule.warmup
    rounding = 1e-14 * schedule.learning_rate
    assert np.abs(np.diff(values[: w + 1])).max(initial=0) <= schedule.learning_rate / (w + 1) + rounding
    steepest = (schedule.learning_rate - schedule.final) * math.pi / 2 / fall
    assert np.abs(np.diff(values[w:])).max() <= steepest + rounding


def test_one_cycle_at_steps_worked_out_by_hand():
    # Peak at step 0.4 * 10 - 1 = 3, end at step 9: thirds of the way up, sixths of the way down. The cosine
    # of 30 degrees is h, of 60 degrees 1/2, of 120 degrees -1/2.
    schedule = OneCycle(8.0, steps=10, warmup_fraction=0.4, initial_factor=0.5, final_factor=0.25)
    h = math.sqrt(0.75)
    assert [schedule(k) for k in range(12)] == pytest.approx(
        [4, 5, 7, 8, 5 + 3 * h, 6.5, 5, 3.5, 5 - 3 * h, 2, 2, 2], abs=1e-14
    )


def test_one_cycle_equals_the_numbers_that_pytorch_printed():
    with np.load(RECORDED, allow_pickle=False) as recorded:
        cases = json.loads(str(recorded["about"]))["one_cycle"]
        assert len(cases) == 3
        for name, arguments in cases.items():
            schedule = OneCycle(**arguments)
            printed = recorded[f"one_cycle/{name}"]
            assert len(printed) == schedule.steps
            np.testing.assert_allclose([schedule(k) for k in range(len(printed))], printed, rtol=1e-12)


def test_one_cycle_defaults_are_the_recorded_ones():
    assert dataclasses.asdict(OneCycle(0.1, 100)) == {
        "learning_rate": 0.1,
        "steps": 100,
        "warmup_fraction": 0.3,
        "initial_factor": 0.04,
        "final_factor": 0.0001,
    }


@given(one_cycles)
def test_one_cycle_goes_up_once_and_down_once_without_jumps(schedule):
    values = np.array([schedule(k) for k in range(schedule.steps + 3)])
    lr = schedule.learning_rate
    rounding = 1e-14 * lr
    rise = max(0.0, schedule.warmup_fraction * schedule.steps - 1)
    first_down = math.ceil(rise)
    assert values[0] == pytest.approx(lr * (schedule.initial_factor if rise > 0 else 1), rel=1e-13)
    assert values[schedule.steps - 1 :] == pytest.approx(lr * schedule.final_factor, rel=1e-13)
    assert (np.diff(values[:first_down]) >= -rounding).all()
    assert (np.diff(values[first_down:]) <= rounding).all()
    assert values.max() <= lr + rounding
    assert values.min() >= lr * min(schedule.initial_factor, schedule.final_factor) - rounding
    slopes = [lr * (1 - schedule.final_factor) / (schedule.steps - 1 - rise)]
    if rise > 0:
        slopes.append(lr * (1 - schedule.initial_factor) / rise)
    assert np.abs(np.diff(values)).max() <= max(slopes) * math.pi / 2 + rounding


@pytest.mark.parametrize("schedule", [Constant(0.1), Step(0.1, 5), Cosine(0.1, 50, 10), OneCycle(0.1, 50)])
def test_schedules_are_pure_and_frozen(schedule):
    forwards = [schedule(k) for k in range(60)]
    assert [schedule(k) for k in reversed(range(60))] == forwards[::-1]
    assert all(type(value) is float for value in forwards)
    assert schedule == dataclasses.replace(schedule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.learning_rate = 1.0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Constant(0.0), "learning_rate"),
        (lambda: Constant(-0.1), "learning_rate"),
        (lambda: Constant(math.nan), "learning_rate"),
        (lambda: Constant(math.inf), "learning_rate"),
        (lambda: Constant("0.1"), "learning_rate"),
        (lambda: Constant(True), "learning_rate"),
        (lambda: Constant(np.float32(0.1)), "learning_rate"),
        (lambda: Step(0.0, 5), "learning_rate"),
        (lambda: Step(0.1, 0), "every"),
        (lambda: Step(0.1, 2.5), "every"),
        (lambda: Step(0.1, True), "every"),
        (lambda: Step(0.1, 5, factor=0.0), "factor"),
        (lambda: Step(0.1, 5, factor=1.0), "factor"),
        (lambda: Cosine(0.0, 5), "learning_rate"),
        (lambda: Cosine(0.1, 1), "steps"),
        (lambda: Cosine(0.1, 11, warmup=10), "steps"),
        (lambda: Cosine(0.1, 5, warmup=-1), "warmup"),
        (lambda: Cosine(0.1, 5, final=-0.1), "final"),
        (lambda: Cosine(0.1, 5, final=0.2), "final"),
        (lambda: OneCycle(-1.0, 5), "learning_rate"),
        (lambda: OneCycle(0.1, 1), "steps"),
        (lambda: OneCycle(0.1, 5, warmup_fraction=-0.1), "warmup_fraction"),
        (lambda: OneCycle(0.1, 5, warmup_fraction=1.0), "warmup_fraction"),
        (lambda: OneCycle(0.1, 5, initial_factor=0.0), "initial_factor"),
        (lambda: OneCycle(0.1, 5, initial_factor=1.1), "initial_factor"),
        (lambda: OneCycle(0.1, 5, final_factor=-0.1), "final_factor"),
        (lambda: OneCycle(0.1, 5, final_factor=1.1), "final_factor"),
    ],
)
def test_senseless_arguments_are_refused_by_name(make, name):
    with pytest.raises(ConfigError, match=rf"^{name} must be a .*, not .*\.$"):
        make()


def test_checked_values_come_back():
    assert type(check_number("x", np.float64(0.5), above=0)) is float
    assert check_number("x", 1, least=1, most=1) == 1.0
    assert check_count("n", 3, least=3) == 3
