import dataclasses
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from glassnet.errors import ConfigError
from glassnet.optim import OPTIMIZERS, SGD, Adagrad, Adam, Momentum, RMSprop
from glassnet.schedules import Constant, Cosine, OneCycle, Step

FILE = Path(__file__).parent / "data" / "optim_trajectories.npz"
with np.load(FILE, allow_pickle=False) as _file:
    RECORDED = {name: _file[name] for name in _file.files}
ABOUT = json.loads(str(RECORDED["about"]))
GRADIENTS = RECORDED["gradients"]

EVERY = [
    SGD,
    Momentum,
    lambda lr=0.01: Momentum(lr, form="sum"),
    lambda lr=0.01: Momentum(lr, form="mean"),
    Adagrad,
    lambda lr=0.01: Adagrad(lr, initial_accumulator=0.5),
    RMSprop,
    lambda lr=0.01: RMSprop(lr, epsilon_in_root=True),
    Adam,
]
every = pytest.mark.parametrize(
    "make",
    EVERY,
    ids=["sgd", "classical", "sum", "mean", "adagrad", "adagrad-0.5", "rmsprop", "rmsprop-in-root", "adam"],
)


def walk(optimizer, theta, gradients):
    """Step through the gradients (steps, P) and return theta after each; each gradient is a copy."""
    theta = theta.copy()
    walked = np.empty((len(gradients), theta.size), theta.dtype)
    for k, g in enumerate(gradients):
        optimizer.step(theta, g.copy())
        walked[k] = theta
    return walked


# ----- the same as elsewhere


def test_the_record_holds_what_it_should():
    assert ABOUT["torch"].startswith("2.13.0")
    assert GRADIENTS.shape == (240, 60)
    size = np.abs(GRADIENTS[GRADIENTS != 0])
    assert size.min() < 1e-8
    assert size.max() > 500
    assert (GRADIENTS[:, 0] == 0).all()
    assert (GRADIENTS[1:] * GRADIENTS[:-1] < 0).any(axis=0)[4:].all()
    assert {case["rule"] for case in ABOUT["cases"].values()} == set(OPTIMIZERS)
    assert FILE.stat().st_size < 1_000_000


@pytest.mark.parametrize("name", ABOUT["cases"])
def test_walks_as_the_recorded_reference(name):
    case = ABOUT["cases"][name]
    rate = case["rate"]
    if name.endswith("varying"):
        rates = rate * RECORDED["varying"]
        rate = lambda step: rates[step]  # noqa: E731
    optimizer = OPTIMIZERS[case["rule"]](learning_rate=rate, **case["arguments"])
    ours = walk(optimizer, RECORDED["theta0"], GRADIENTS)[RECORDED["stored"] - 1]
    theirs = RECORDED[f"theta/{name}"]
    assert np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))) < 1e-10


def test_adam_and_rmsprop_equal_the_running_means_of_their_papers():
    """The means as printed, so that the sums and their folded scalars stand apart."""
    alpha, beta1, beta2, epsilon = 0.02, 0.85, 0.98, 1e-5
    adam, rmsprop = Adam(alpha, beta1, beta2, epsilon), RMSprop(alpha, beta2, epsilon)
    theta = RECORDED["theta0"].copy()
    theta_adam, theta_rmsprop = theta.copy(), theta.copy()
    m, v, plain_adam, plain_rmsprop = np.zeros(60), np.zeros(60), theta.copy(), theta.copy()
    for t, g in enumerate(GRADIENTS, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        plain_adam = plain_adam - alpha * m_hat / (np.sqrt(v_hat) + epsilon)
        plain_rmsprop = plain_rmsprop - alpha * g / (np.sqrt(v) + epsilon)
        adam.step(theta_adam, g.copy())
        rmsprop.step(theta_rmsprop, g.copy())
        np.testing.assert_allclose(theta_adam, plain_adam, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(theta_rmsprop, plain_rmsprop, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(adam.moments()["m"], m, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(adam.moments()["v"], v, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(rmsprop.moments()["v"], v, rtol=1e-12, atol=1e-300)


def test_moments_of_the_other_rules():
    g = np.array([[8.0, -4.0], [4.0, 0.0]])
    expected = {  # at lr = 0.5, mu = 0.5, worked out by hand
        "classical": [-4.0, 1.0],  # -4 and 2, then half of it minus half of g
        "sum": [8.0, -2.0],
        "mean": [4.0, -1.0],
    }
    for form, v in expected.items():
        momentum = Momentum(0.5, 0.5, form)
        walk(momentum, np.zeros(2), g)
        np.testing.assert_array_equal(momentum.moments()["v"], v)
    adagrad = Adagrad(0.5, initial_accumulator=1.0)
    walk(adagrad, np.zeros(2), g)
    np.testing.assert_array_equal(adagrad.moments()["G"], [81.0, 17.0])
    sgd = SGD()
    walk(sgd, np.zeros(2), g)
    assert sgd.moments() == {}


@every
def test_moments_and_state_are_fresh_arrays(make):
    optimizer, twin = make(), make()
    theta, theta_twin = np.zeros(60), np.zeros(60)
    for g in GRADIENTS[:20]:
        optimizer.step(theta, g.copy())
        twin.step(theta_twin, g.copy())
        for array in [*optimizer.moments().values(), *list(optimizer.state().values())[1:]]:
            array[:] = np.nan
    np.testing.assert_array_equal(theta, theta_twin)


# ----- bits and slices


@every
def test_repeats_bit_for_bit(make):
    for dtype in (np.float32, np.float64):
        theta, g = RECORDED["theta0"].astype(dtype), GRADIENTS.astype(dtype)
        assert walk(make(), theta, g).tobytes() == walk(make(), theta, g).tobytes()


@every
def test_instances_on_slices_give_the_bits_of_one_on_the_whole(make):
    rng = np.random.default_rng(3)
    whole = rng.standard_normal(1003).astype(np.float32)
    sliced = whole.copy()
    one, two, three = make(Cosine(0.1, 40, 5)), make(Cosine(0.1, 40, 5)), make(Cosine(0.1, 40, 5))
    for _ in range(30):
        g = rng.standard_normal(1003).astype(np.float32)
        scratch = g.copy()
        two.step(sliced[:501], scratch[:501])
        three.step(sliced[501:], scratch[501:])
        one.step(whole, g)
    assert whole.tobytes() == sliced.tobytes()


@every
def test_a_restored_run_ends_in_the_same_bits(make):
    rate = OneCycle(0.05, 240)
    through = walk(make(rate), RECORDED["theta0"], GRADIENTS)
    first, second = make(rate), make(rate)
    before = walk(first, RECORDED["theta0"], GRADIENTS[:100])
    second.allocate(60, np.float64)
    walk(second, np.ones(60), GRADIENTS[50:60])  # what is restored must replace this
    saved = first.state()
    walk(first, RECORDED["theta0"], GRADIENTS[:5])  # what is saved must not follow this
    second.restore(saved)
    assert second.steps == 100
    after = walk(second, before[-1], GRADIENTS[100:])
    assert np.concatenate([before, after]).tobytes() == through.tobytes()


def test_restore_writes_into_the_memory_that_is_there():
    adam = Adam()
    adam.allocate(3, np.float32)
    rows = adam._vectors
    adam.restore({"steps": 7, "M": np.ones(3, np.float32), "V": np.full(3, 2, np.float32)})
    assert all(a is b for a, b in zip(adam._vectors, rows, strict=True))
    assert adam.steps == 7
    np.testing.assert_array_equal(rows, [[1, 1, 1], [2, 2, 2]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"M": np.zeros(4)}, "Row M .* restore a state of the same network"),
        ({"V": np.zeros((3, 1))}, "Row V .* restore a state of the same network"),
        ({"V": np.zeros(3, np.float32)}, "Row V .* float32"),
        ({"steps": -1}, "steps must be a whole number of at least 0, not -1"),
        ({"steps": 1.5}, "steps must be a whole number of at least 0, not 1.5"),
        ({"G": np.zeros(3)}, r"\['M', 'V', 'steps'\].*\['G', 'M', 'V', 'steps'\].* same class"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_written(change, sentence):
    adam = Adam()
    adam.step(np.zeros(3), np.ones(3))
    before = adam.state()
    with pytest.raises(ConfigError, match=sentence):
        adam.restore({"steps": 9, "M": np.full(3, 5.0), "V": np.full(3, 5.0)} | change)
    after = adam.state()
    assert after["steps"] == before["steps"]
    np.testing.assert_array_equal(after["M"], before["M"])
    np.testing.assert_array_equal(after["V"], before["V"])


# ----- convergence

CURVATURE = np.geomspace(1.0, 100.0, 20)  # of the parabola 1/2 sum_i h_i x_i^2


def run_down(optimizer, gradient, start, steps):
    theta = np.array(start, float)
    for _ in range(steps):
        optimizer.step(theta, gradient(theta))
    return theta


def test_gradient_descent_contracts_a_parabola_at_the_rate_of_theory():
    # With lr = 2 / (1 + 100) the flattest and steepest directions shrink by 99/101 a step.
    x = run_down(SGD(2 / 101), lambda x: CURVATURE * x, np.ones(20), 200)
    assert np.abs(x).max() == pytest.approx((99 / 101) ** 200, rel=1e-10)


@pytest.mark.parametrize("form", ["classical", "sum", "mean"])
def test_momentum_contracts_a_parabola_at_polyaks_rate(form):
    # Polyak's choice: mu = (9/11)^2, lr = (2/11)^2, about 9/11 a step: 1e-17, and gradient descent 2e-2.
    mu, lr = (9 / 11) ** 2, (2 / 11) ** 2
    optimizer = Momentum(lr / (1 - mu) if form == "mean" else lr, mu, form)
    x = run_down(optimizer, lambda x: CURVATURE * x, np.ones(20), 200)
    assert np.abs(x).max() < 2 * 200 * (9 / 11) ** 200


@pytest.mark.parametrize(
    ("optimizer", "bound"),
    [
        (Adagrad(0.5, 1e-12), 1e-50),
        (RMSprop(Cosine(0.05, 600), 0.9, 1e-12), 1e-12),
        (Adam(Cosine(0.1, 600)), 1e-10),
    ],
)
def test_adaptive_rules_do_not_mind_a_badly_scaled_parabola(optimizer, bound):
    x = run_down(optimizer, lambda x: CURVATURE**3 * x, np.ones(20), 600)  # condition number 1e6
    assert np.abs(x).max() < bound


@pytest.mark.parametrize(
    ("optimizer", "bound"),
    [
        (SGD(0.002), 2e-3),
        (Momentum(0.001, 0.9, "classical"), 1e-12),
        (Momentum(0.001, 0.9, "sum"), 1e-12),
        (Momentum(0.01, 0.9, "mean"), 1e-12),
        (Adagrad(0.5), 3e-3),
        (RMSprop(Cosine(0.01, 8000)), 1e-3),
        (RMSprop(Cosine(0.01, 8000), epsilon_in_root=True), 1e-3),
        (Adam(Cosine(0.05, 8000)), 1e-8),
    ],
    ids=lambda value: type(value).__name__,
)
def test_converges_along_the_valley_of_rosenbrock(optimizer, bound):
    def gradient(x):
        return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])

    x = run_down(optimizer, gradient, [-1.2, 1.0], 8000)
    assert np.abs(x - 1).max() < bound


# ----- family ties


@pytest.mark.parametrize("form", ["classical", "sum", "mean"])
def test_momentum_zero_is_gradient_descent(form):
    rate = Step(0.05, 20, 0.5)
    ours = walk(Momentum(rate, 0.0, form), RECORDED["theta0"], GRADIENTS)
    np.testing.assert_array_equal(ours, walk(SGD(rate), RECORDED["theta0"], GRADIENTS))


def test_classical_momentum_is_the_sum_form_while_the_rate_is_constant():
    classical = walk(Momentum(0.05, 0.8, "classical"), RECORDED["theta0"], GRADIENTS)
    summed = walk(Momentum(0.05, 0.8, "sum"), RECORDED["theta0"], GRADIENTS)
    np.testing.assert_allclose(classical, summed, rtol=1e-12, atol=1e-12)
    rate = Step(0.05, 20, 0.5)
    classical = walk(Momentum(rate, 0.8, "classical"), RECORDED["theta0"], GRADIENTS)
    summed = walk(Momentum(rate, 0.8, "sum"), RECORDED["theta0"], GRADIENTS)
    assert np.abs(classical[19] - summed[19]).max() < 1e-12
    assert np.abs(classical[20] - summed[20]).max() > 1


def test_mean_momentum_is_the_sum_form_at_a_smaller_rate():
    mean = walk(Momentum(0.5, 0.75, "mean"), RECORDED["theta0"], GRADIENTS)
    summed = walk(Momentum(0.125, 0.75, "sum"), RECORDED["theta0"], GRADIENTS)
    np.testing.assert_array_equal(mean, summed)


def test_adam_without_momentum_is_rmsprop_with_its_correction_put_into_the_rate():
    # lr g / (sqrt(v / (1 - rho^t)) + eps) = lr sqrt(1 - rho^t) g / (sqrt(v) + eps sqrt(1 - rho^t))
    rho, epsilon, g = 0.95, 1e-30, np.where(GRADIENTS == 0, 1e-5, GRADIENTS)
    adam = walk(Adam(0.01, 0.0, rho, epsilon), RECORDED["theta0"], g)
    rmsprop = walk(RMSprop(lambda step: 0.01 * (1 - rho ** (step + 1)) ** 0.5, rho, epsilon), RECORDED["theta0"], g)
    np.testing.assert_allclose(adam, rmsprop, rtol=1e-11, atol=1e-12)


def test_adam_that_remembers_nothing_walks_by_signs():
    g = np.where(GRADIENTS == 0, 1e-5, GRADIENTS)
    adam = walk(Adam(0.25, 0.0, 0.0, 1e-30), np.zeros(60), g)
    np.testing.assert_allclose(adam, -0.25 * np.cumsum(np.sign(g), axis=0), rtol=1e-12, atol=1e-12)


def test_adagrad_and_gradient_descent_agree_where_the_accumulator_drowns_the_gradients():
    adagrad = walk(Adagrad(1e6, 1e-30, initial_accumulator=1e16), np.zeros(60), GRADIENTS)
    np.testing.assert_allclose(adagrad, walk(SGD(1e-2), np.zeros(60), GRADIENTS), rtol=1e-7, atol=1e-12)


# ----- zero gradients


@every
def test_a_rule_says_truly_whether_a_zero_gradient_is_a_noop(make):
    optimizer = make()
    theta = np.ones(60)
    for g in GRADIENTS[:10]:
        optimizer.step(theta, g.copy())
    rows, before = optimizer.state(), theta.copy()
    optimizer.step(theta, np.zeros(60))
    same = np.array_equal(theta, before) and all(
        np.array_equal(row, rows[name]) for name, row in optimizer.state().items() if name != "steps"
    )
    assert same == optimizer.zero_gradient_is_noop


def test_the_flag_of_every_rule():
    assert {name for name, rule in OPTIMIZERS.items() if rule.zero_gradient_is_noop} == {"sgd", "adagrad"}


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_that_never_have_a_gradient_stay_finite_and_still(make, dtype):
    optimizer = make()
    theta = np.linspace(-1, 1, 4, dtype=dtype)
    before = theta.copy()
    for _ in range(50):
        optimizer.step(theta, np.zeros(4, dtype))
    np.testing.assert_array_equal(theta, before)


@every
def test_tiny_and_huge_float32_gradients_stay_finite(make):
    optimizer = make()
    theta = np.zeros(8, np.float32)
    g = np.array([1e-45, -1e-30, 1e-20, -1e-12, 1e-4, 1.0, -1e6, 1e15], np.float32)
    for _ in range(20):
        optimizer.step(theta, g.copy())
    assert np.isfinite(theta).all()


# ----- numbers and memory


@every
@pytest.mark.parametrize("rate", [0.02, np.float64(0.02), lambda step: np.float64(0.02)])
def test_float32_stays_float32_and_near_float64(make, rate):
    g = np.clip(GRADIENTS, -1, 1)
    optimizer = make(rate)
    theta = RECORDED["theta0"].astype(np.float32)
    steps = walk(optimizer, theta, g.astype(np.float32))
    assert steps.dtype == np.float32
    assert all(row.dtype == np.float32 for name, row in optimizer.state().items() if name != "steps")
    assert all(row.dtype == np.float32 for row in optimizer.moments().values())
    assert steps.tobytes() == walk(make(0.02), theta, g.astype(np.float32)).tobytes()
    np.testing.assert_allclose(steps, walk(make(0.02), RECORDED["theta0"], g), rtol=1e-3, atol=1e-4)


def test_numpy_hyperparameters_become_python_floats():
    adam = Adam(0.01, np.float64(0.8), np.float64(0.9), np.float64(1e-6))
    assert [type(x) for x in (adam.beta1, adam.beta2, adam.epsilon)] == [float, float, float]


@every
def test_a_step_allocates_next_to_nothing(make):
    optimizer = make()
    theta, g = np.zeros(100_000, np.float32), np.ones(100_000, np.float32)
    optimizer.step(theta, g)
    tracemalloc.start()
    try:
        for _ in range(3):
            g.fill(0.5)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            optimizer.step(theta, g)
            assert tracemalloc.get_traced_memory()[1] - before < 4096
    finally:
        tracemalloc.stop()


class Counted(np.ndarray):
    """An array that counts the ufunc calls it takes part in."""

    calls = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        Counted.calls += 1
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        assert out, f"{ufunc.__name__} makes a new array"
        getattr(ufunc, method)(*plain, out=tuple(x.view(np.ndarray) for x in out), **kwargs)
        return out[0]


@every
def test_passes_over_the_parameters_are_those_of_the_docstring(make):
    optimizer = make()
    optimizer.step(np.zeros(5), np.ones(5))
    rows = len(optimizer.rows) + len(optimizer.scratch)
    Counted.calls = 0
    optimizer.rule(*np.ones((2 + rows, 5)).view(Counted), 0.1)
    assert f" {Counted.calls} passes" in type(optimizer).__doc__.replace("\n", " ")


@every
def test_rows_are_named_and_zero_but_for_an_initial_value(make):
    optimizer = make()
    optimizer.allocate(4, np.float64)
    state = optimizer.state()
    assert list(state) == ["steps", *optimizer.rows]
    for name in optimizer.rows:
        np.testing.assert_array_equal(state[name], np.full(4, getattr(optimizer, "initial_accumulator", 0.0)))


@every
def test_allocate_begins_again(make):
    optimizer = make()
    first = walk(optimizer, RECORDED["theta0"], GRADIENTS[:30])
    optimizer.allocate(60, np.float64)
    assert walk(optimizer, RECORDED["theta0"], GRADIENTS[:30]).tobytes() == first.tobytes()


# ----- the surface


def test_the_rate_of_a_step_is_the_schedule_at_the_steps_before_it():
    asked = []
    sgd = SGD(lambda step: asked.append(step) or 1.0)
    walk(sgd, np.zeros(60), GRADIENTS[:4])
    assert asked == [0, 1, 2, 3]
    assert sgd.steps == 4
    sgd.schedule = Constant(0.5)
    theta = np.zeros(1)
    sgd.allocate(1, np.float64)
    sgd.step(theta, np.ones(1))
    assert theta[0] == -0.5


@every
@pytest.mark.parametrize("rate", [0.125, Step(0.1, 5), Cosine(0.1, 50, 10), OneCycle(0.1, 50)])
def test_a_description_goes_through_json_and_back(make, rate):
    optimizer = make(rate)
    described = json.loads(json.dumps(optimizer.describe()))
    kind, learning_rate = described.pop("type"), described.pop("learning_rate")
    if isinstance(learning_rate, dict):
        schedule = {"Step": Step, "Cosine": Cosine, "OneCycle": OneCycle}[learning_rate.pop("type")]
        learning_rate = schedule(**learning_rate)
    assert learning_rate == rate
    rule = next(rule for rule in OPTIMIZERS.values() if rule.__name__ == kind)
    again = rule(learning_rate, **described)
    ours, theirs = (walk(o, RECORDED["theta0"], GRADIENTS[:20]) for o in (optimizer, again))
    assert ours.tobytes() == theirs.tobytes()


def test_a_function_is_described_by_its_repr():
    assert "halving" in SGD(halving).describe()["learning_rate"]


def halving(step):
    return 0.5**step


def test_defaults():
    assert [rule().describe() for rule in OPTIMIZERS.values()] == [
        {"type": "SGD", "learning_rate": 0.01},
        {"type": "Momentum", "learning_rate": 0.01, "momentum": 0.9, "form": "classical"},
        {"type": "Adagrad", "learning_rate": 0.01, "epsilon": 1e-8, "initial_accumulator": 0.0},
        {"type": "RMSprop", "learning_rate": 0.001, "rho": 0.9, "epsilon": 1e-8, "epsilon_in_root": False},
        {"type": "Adam", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ]
    assert list(OPTIMIZERS) == ["sgd", "momentum", "adagrad", "rmsprop", "adam"]
    assert dataclasses.asdict(Adam().schedule) == {"learning_rate": 0.001}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *[(lambda rule=rule: rule(0.0), "learning_rate") for rule in OPTIMIZERS.values()],
        *[(lambda rule=rule: rule(-1.0), "learning_rate") for rule in OPTIMIZERS.values()],
        (lambda: SGD(None), "learning_rate"),
        (lambda: SGD(float("nan")), "learning_rate"),
        (lambda: Momentum(momentum=-0.1), "momentum"),
        (lambda: Momentum(momentum=1.0), "momentum"),
        (lambda: Momentum(form="nesterov"), "form"),
        (lambda: Adagrad(epsilon=0.0), "epsilon"),
        (lambda: Adagrad(initial_accumulator=-1.0), "initial_accumulator"),
        (lambda: RMSprop(rho=1.0), "rho"),
        (lambda: RMSprop(rho=-0.5), "rho"),
        (lambda: RMSprop(epsilon=0.0), "epsilon"),
        (lambda: RMSprop(epsilon_in_root=1e-8), "epsilon_in_root"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(beta1=-0.1), "beta1"),
        (lambda: Adam(beta2=1.0), "beta2"),
        (lambda: Adam(beta2="0.9"), "beta2"),
        (lambda: Adam(epsilon=0.0), "epsilon"),
        (lambda: Adam(epsilon=float("inf")), "epsilon"),
        (lambda: Adam().allocate(-1, np.float32), "size"),
    ],
)
def test_senseless_arguments_are_refused_by_name(make, name):
    with pytest.raises(ConfigError, match=rf"^{name} (must be a .*, not .*|is .*; give .*)\.$"):
        make()


@every
@pytest.mark.parametrize(
    ("theta", "g"),
    [
        (np.zeros(4), np.zeros(4)),
        (np.zeros(3, np.float32), np.zeros(3, np.float32)),
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((3, 1)), np.zeros((3, 1))),
    ],
)
def test_vectors_that_do_not_fit_the_state_are_refused(make, theta, g):
    optimizer = make()
    optimizer.allocate(3, np.float64)
    with pytest.raises(ConfigError, match=r"allocated for 3 parameters of float64, but .*; call allocate\(\) .*\.$"):
        optimizer.step(theta, g)
    assert optimizer.steps == 0


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, bool])
def test_parameters_that_are_no_real_floats_are_refused(dtype):
    with pytest.raises(ConfigError, match="give float32 or float64"):
        Adam().step(np.zeros(3, dtype), np.zeros(3, dtype))


@every
@pytest.mark.parametrize(
    "ask",
    [lambda o: o.state(), lambda o: o.moments(), lambda o: o.restore({"steps": 0})],
    ids=["state", "moments", "restore"],
)
def test_without_state_there_is_a_sentence(make, ask):
    with pytest.raises(ConfigError, match=r"has no state yet; call allocate\(size, dtype\) or step once first"):
        ask(make())
