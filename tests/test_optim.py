import copy

import numpy as np
import pytest
from walks import CASES, FILES, GRADIENTS, PARTS, PLAIN, RECORDED, START, every, walk

from glassnet.errors import ConfigError
from glassnet.optim import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Adan,
    AMSGrad,
    Lion,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    RAdam,
    RMSprop,
    ScheduleFreeAdamW,
)
from glassnet.optimizer import Part
from glassnet.schedules import Cosine, OneCycle, Step, WarmUp

LIVELY = np.where(GRADIENTS == 0, 1e-5, GRADIENTS)  # nowhere 0


# ----- the same as elsewhere


def test_the_record_holds_what_it_should():
    assert GRADIENTS.shape == (240, 60)
    size = np.abs(GRADIENTS[GRADIENTS != 0])
    assert size.min() < 1e-8
    assert size.max() > 500
    assert (GRADIENTS[:, 0] == 0).all()
    assert (GRADIENTS[1:] * GRADIENTS[:-1] < 0).any(axis=0)[4:].all()
    assert {case["rule"] for case in CASES.values()} == set(OPTIMIZERS)
    assert sum(file.stat().st_size for file in FILES) < 1_000_000


@pytest.mark.parametrize("name", CASES)
def test_walks_as_the_recorded_reference(name):
    case = CASES[name]
    rate = case["rate"]
    if name.endswith("varying"):
        rates = rate * RECORDED["varying"]
        rate = lambda step: rates[step]  # noqa: E731
    optimizer = OPTIMIZERS[case["rule"]](learning_rate=rate, **case["arguments"])
    optimizer.allocate(60, np.float64, PARTS if case.get("parts") else None)
    ours = walk(optimizer, START, GRADIENTS)[RECORDED["stored"] - 1]
    theirs = RECORDED[f"theta/{name}"]
    assert np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))) < 1e-10


@pytest.mark.parametrize("name", [name for name in CASES if f"x/{name}" in RECORDED])
def test_schedule_free_evaluates_at_the_recorded_mean(name):
    case, rates = CASES[name], np.ones(240)
    if name.endswith("varying"):
        rates = RECORDED["varying"]
    free = ScheduleFreeAdamW(lambda step: case["rate"] * rates[step], **case["arguments"])
    theta, seen = START.copy(), []
    for g in GRADIENTS:
        free.step(theta, g.copy())
        x = theta.copy()
        free.eval(x)
        seen.append(x)
    np.testing.assert_allclose(np.array(seen)[RECORDED["stored"] - 1], RECORDED[f"x/{name}"], rtol=1e-10, atol=1e-10)


# ----- the paper's quantities


def means(beta, values):
    """Running means from zero, as papers print them: m = beta m + (1 - beta) x, one a row."""
    m, rows = np.zeros(values.shape[1]), []
    for x in values:
        m = beta * m + (1 - beta) * x
        rows.append(m)
    return np.array(rows)


def test_adam_and_rmsprop_equal_the_running_means_of_their_papers():
    """The means as printed, so that the sums and their folded scalars stand apart."""
    alpha, beta1, beta2, epsilon = 0.02, 0.85, 0.98, 1e-5
    adam, rmsprop = Adam(alpha, beta1, beta2, epsilon), RMSprop(alpha, beta2, epsilon)
    theta = START.copy()
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


@pytest.mark.parametrize("rule", [Adam, AdamW, NAdam, AMSGrad, RAdam])
def test_the_means_of_adam_and_its_relatives(rule):
    optimizer = rule(0.02, beta1=0.85, beta2=0.98)
    walk(optimizer, START, GRADIENTS)
    m, v = means(0.85, GRADIENTS), means(0.98, GRADIENTS**2)
    moments = optimizer.moments()
    np.testing.assert_allclose(moments.pop("m"), m[-1], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(moments.pop("v"), v[-1], rtol=1e-12, atol=1e-300)
    if rule is AMSGrad:
        np.testing.assert_allclose(moments.pop("v_max"), v.max(axis=0), rtol=1e-12, atol=1e-300)
    assert moments == {}


def test_the_means_of_adan():
    adan = Adan(0.02, beta1=0.85, beta2=0.7, beta3=0.98)
    walk(adan, START, GRADIENTS)
    change = np.diff(GRADIENTS, axis=0, prepend=GRADIENTS[:1])
    moments = adan.moments()
    np.testing.assert_allclose(moments.pop("m"), means(0.85, GRADIENTS)[-1], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(moments.pop("v"), means(0.7, change)[-1], rtol=1e-11, atol=1e-300)
    n = means(0.98, (GRADIENTS + 0.7 * change) ** 2)[-1]
    np.testing.assert_allclose(moments.pop("n"), n, rtol=1e-11, atol=1e-300)
    assert moments == {}


def test_the_means_of_lion_and_of_a_schedule_free_walk():
    lion = Lion(0.02, beta1=0.5, beta2=0.8)
    walk(lion, START, GRADIENTS)
    np.testing.assert_allclose(lion.moments()["m"], means(0.8, GRADIENTS)[-1], rtol=1e-12, atol=1e-300)
    assert list(lion.moments()) == ["m"]
    free = ScheduleFreeAdamW(0.5, beta1=0.75, beta2=0.0)
    walk(free, np.zeros(1), np.array([[8.0], [8.0], [8.0]]))
    moments = free.moments()  # z goes -0.5, -1, -1.5, and x is their mean
    assert sorted(moments) == ["v", "x", "z"]
    assert [moments[name][0] for name in ("z", "x", "v")] == pytest.approx([-1.5, -1.0, 64.0], rel=1e-8)
    free = ScheduleFreeAdamW(0.5, beta2=0.75)
    walk(free, np.zeros(1), np.array([[8.0], [4.0]]))
    assert free.moments()["v"] == pytest.approx(means(0.75, np.array([[64.0], [16.0]]))[-1], rel=1e-12)


def test_a_step_at_rate_zero_moves_nothing_of_a_schedule_free_walk():
    free = ScheduleFreeAdamW(lambda step: (0.5, 0.5, 0.0)[step], beta1=0.75)
    theta = np.zeros(3)
    for g in np.array([[8.0, 1.0, -2.0]] * 2):
        free.step(theta, g)
    before = {name: moment.copy() for name, moment in free.moments().items() if name in "xz"}
    free.step(theta, np.array([8.0, 1.0, -2.0]))
    assert not np.array_equal(before["x"], before["z"])
    for name, moment in before.items():
        np.testing.assert_array_equal(free.moments()[name], moment)


def test_moments_of_the_other_rules():
    g = np.array([[8.0, -4.0], [4.0, 0.0]])
    expected = {  # at lr = 0.5, mu = 0.5, worked out by hand
        "classical": [-4.0, 1.0],  # -4 and 2, then half of it minus half of g
        "sum": [8.0, -2.0],
        "mean": [4.0, -1.0],
    }
    for form, v in expected.items():
        for rule in (Momentum, Nesterov):
            if (rule, form) == (Nesterov, "mean"):
                continue
            momentum = rule(0.5, 0.5, form)
            walk(momentum, np.zeros(2), g)
            np.testing.assert_array_equal(momentum.moments()["v"], v)
    adagrad = Adagrad(0.5, initial_accumulator=1.0)
    walk(adagrad, np.zeros(2), g)
    np.testing.assert_array_equal(adagrad.moments()["G"], [81.0, 17.0])
    adamax = Adamax(beta1=0.5, beta2=0.25, epsilon=1.0)
    walk(adamax, np.zeros(2), g)
    np.testing.assert_array_equal(adamax.moments()["m"], [4.0, -1.0])
    np.testing.assert_array_equal(adamax.moments()["u"], [5.0, 1.25])  # max(9/4, 4 + 1), max(5/4, 0 + 1)
    adadelta = Adadelta(rho=0.75, epsilon=9.0)
    walk(adadelta, np.zeros(2), g[:1])
    np.testing.assert_array_equal(adadelta.moments()["v"], [16.0, 4.0])
    # d = 8 sqrt(9 / (16 + 9)) = 4.8 and -4 sqrt(9 / (4 + 9)), and u is a quarter of the squares
    np.testing.assert_allclose(adadelta.moments()["u"], [5.76, 36 / 13], rtol=1e-14)
    muon = Muon(momentum=0.5, beta1=0.75, beta2=0.875)
    muon.allocate(5, np.float64, [Part(1, (2, 2))])
    walk(muon, np.zeros(5), np.array([[8.0, 1.0, 2.0, 3.0, 4.0], [0.0, 10.0, 10.0, 10.0, 10.0]]))
    np.testing.assert_allclose(muon.moments()["m"], [1.5, 10.5, 11, 11.5, 12], rtol=1e-14)  # a mean, and sums
    np.testing.assert_allclose(muon.moments()["v"], [7.0, 0, 0, 0, 0], rtol=1e-14)
    sgd = SGD()
    walk(sgd, np.zeros(2), g)
    assert sgd.moments() == {}


# ----- convergence

CURVATURE = np.geomspace(1.0, 100.0, 20)  # of the parabola 1/2 sum_i h_i x_i^2


def run_down(optimizer, gradient, start, steps):
    optimizer = copy.deepcopy(optimizer)  # which the next test may use too
    theta = np.array(start, float)
    for _ in range(steps):
        optimizer.step(theta, gradient(theta))
    optimizer.eval(theta)
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


@pytest.mark.parametrize("form", ["classical", "sum"])
def test_nesterov_contracts_a_parabola_at_the_rate_of_theory(form):
    # With lr = 1 / 100 and mu = (1 - q) / (1 + q), q = sqrt(1 / 100), the worst direction has 1 - q = 0.9 twice over.
    x = run_down(Nesterov(1 / 100, 9 / 11, form), lambda x: CURVATURE * x, np.ones(20), 200)
    assert np.abs(x).max() < 2 * 200 * 0.9**200


@pytest.mark.parametrize(
    ("optimizer", "bound"),
    [
        (Adagrad(0.5, 1e-12), 1e-50),
        (RMSprop(Cosine(0.05, 600), 0.9, 1e-12), 1e-12),
        (Adadelta(Cosine(1.0, 600), 0.9, 1e-3), 1e-12),
        (Adam(Cosine(0.1, 600)), 1e-10),
        (Adamax(Cosine(0.1, 600)), 1e-8),
        (NAdam(Cosine(0.1, 600)), 1e-12),
        (AMSGrad(Cosine(0.1, 600)), 1e-10),
        (AMSGrad(Cosine(0.1, 600), bias_correction=False), 1e-10),
        (AdamW(Cosine(0.1, 600)), 1e-10),
        (Adan(Cosine(0.2, 600)), 1e-12),
        (Lion(Cosine(0.03, 600)), 1e-4),
        (ScheduleFreeAdamW(0.1), 1e-9),
    ],
    ids=lambda value: type(value).__name__,
)
def test_adaptive_rules_do_not_mind_a_badly_scaled_parabola(optimizer, bound):
    x = run_down(optimizer, lambda x: CURVATURE**3 * x, np.ones(20), 600)  # condition number 1e6
    assert np.abs(x).max() < bound


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("optimizer", "bound"),
    [
        (SGD(0.002), 2e-3),
        (Momentum(0.001, 0.9, "classical"), 1e-12),
        (Momentum(0.001, 0.9, "sum"), 1e-12),
        (Momentum(0.01, 0.9, "mean"), 1e-12),
        (Nesterov(0.001, 0.9, "classical"), 1e-12),
        (Nesterov(0.001, 0.9, "sum"), 1e-12),
        (Adagrad(0.5), 3e-3),
        (RMSprop(Cosine(0.01, 8000)), 1e-3),
        (RMSprop(Cosine(0.01, 8000), epsilon_in_root=True), 1e-3),
        (Adadelta(Cosine(1.0, 8000), 0.99, 1e-5), 1e-2),
        (Adam(Cosine(0.05, 8000)), 1e-8),
        (Adamax(Cosine(0.05, 8000)), 1e-8),
        (NAdam(Cosine(0.02, 8000)), 1e-5),
        (AMSGrad(Cosine(0.2, 8000)), 1e-8),
        (AMSGrad(Cosine(0.5, 8000), bias_correction=False), 1e-3),
        (AdamW(Cosine(0.05, 8000), weight_decay=0.0), 1e-8),
        (RAdam(WarmUp(Cosine(0.05, 8000), 50)), 1e-6),
        (Adan(Cosine(0.05, 8000)), 1e-7),
        (Lion(Cosine(0.01, 8000)), 2e-4),
        (ScheduleFreeAdamW(0.02), 2e-2),
        (Muon(Cosine(0.05, 8000)), 1e-8),
    ],
    ids=lambda value: type(value).__name__,
)
def test_converges_along_the_valley_of_rosenbrock(optimizer, bound):
    def gradient(x):
        return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])

    x = run_down(optimizer, gradient, [-1.2, 1.0], 8000)
    assert np.abs(x - 1).max() < bound


def test_muon_finds_the_matrix_of_a_badly_scaled_regression_before_momentum_does():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 6)) * np.geomspace(1, 30, 6)  # (N, I)
    W = rng.standard_normal((6, 4))  # (I, O)
    muon, momentum = Muon(Cosine(0.05, 1500)), Momentum(1 / 2700)
    muon.allocate(24, np.float64, [Part(0, (6, 4))])
    errors = []
    for optimizer in (muon, momentum):
        found = run_down(optimizer, lambda w: (X.T @ (X @ (w.reshape(6, 4) - W))).ravel() / 40, np.zeros(24), 1500)
        errors.append(np.abs(found.reshape(6, 4) - W).max())
    assert errors[0] < 3e-4
    assert errors[1] > 3e-3


@pytest.mark.parametrize(("rule", "sign"), [(Adam, 1), (AMSGrad, -1)])
def test_adam_walks_away_from_where_amsgrad_goes(rule, sign):
    # Reddi et al. (2018), section 3: slopes 3, -1, -1 and beta2 = 1/10. Down is to the left, one slope a round.
    optimizer = rule(0.01, beta1=0.0, beta2=0.1)
    x = walk(optimizer, np.zeros(1), np.tile([3.0, -1.0, -1.0], 200)[:, None])[-1]
    assert sign * x[0] > 0.3


# ----- family ties


@pytest.mark.parametrize(
    ("rule", "form"),
    [(Momentum, "classical"), (Momentum, "sum"), (Momentum, "mean"), (Nesterov, "classical"), (Nesterov, "sum")],
)
def test_momentum_zero_is_gradient_descent(rule, form):
    rate = Step(0.05, 20, 0.5)
    ours = walk(rule(rate, 0.0, form), START, GRADIENTS)
    np.testing.assert_array_equal(ours, walk(SGD(rate), START, GRADIENTS))


@pytest.mark.parametrize("rule", [Momentum, Nesterov])
def test_the_classical_form_is_the_sum_form_while_the_rate_is_constant(rule):
    classical = walk(rule(0.05, 0.8, "classical"), START, GRADIENTS)
    summed = walk(rule(0.05, 0.8, "sum"), START, GRADIENTS)
    np.testing.assert_allclose(classical, summed, rtol=1e-12, atol=1e-12)
    rate = Step(0.05, 20, 0.5)
    classical = walk(rule(rate, 0.8, "classical"), START, GRADIENTS)
    summed = walk(rule(rate, 0.8, "sum"), START, GRADIENTS)
    assert np.abs(classical[19] - summed[19]).max() < 1e-12
    assert np.abs(classical[20] - summed[20]).max() > 1


def test_mean_momentum_is_the_sum_form_at_a_smaller_rate():
    mean = walk(Momentum(0.5, 0.75, "mean"), START, GRADIENTS)
    summed = walk(Momentum(0.125, 0.75, "sum"), START, GRADIENTS)
    np.testing.assert_array_equal(mean, summed)


def test_nesterov_stands_where_classical_momentum_is_about_to_roll():
    rate, mu = Step(0.05, 20, 0.5), 0.8
    momentum = Momentum(rate, mu)
    theta, ahead = START.copy(), []
    for g in GRADIENTS:
        momentum.step(theta, g.copy())
        ahead.append(theta + mu * momentum.moments()["v"])
    np.testing.assert_allclose(walk(Nesterov(rate, mu), START, GRADIENTS), ahead, rtol=1e-12, atol=1e-12)


def test_adam_without_momentum_is_rmsprop_with_its_correction_put_into_the_rate():
    # lr g / (sqrt(v / (1 - rho^t)) + eps) = lr sqrt(1 - rho^t) g / (sqrt(v) + eps sqrt(1 - rho^t))
    rho, epsilon = 0.95, 1e-30
    adam = walk(Adam(0.01, 0.0, rho, epsilon), START, LIVELY)
    rmsprop = walk(RMSprop(lambda step: 0.01 * (1 - rho ** (step + 1)) ** 0.5, rho, epsilon), START, LIVELY)
    np.testing.assert_allclose(adam, rmsprop, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [Adam(0.25, 0.0, 0.0, 1e-30), Adamax(0.25, 0.0, 0.0, 1e-30), NAdam(0.25, 0.0, 0.0, 1e-30), Lion(0.25, 0.0, 0.0)],
    ids=lambda value: type(value).__name__,
)
def test_what_remembers_nothing_walks_by_signs(optimizer):
    steps = walk(optimizer, np.zeros(60), LIVELY)
    np.testing.assert_allclose(steps, -0.25 * np.cumsum(np.sign(LIVELY), axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", [Adam, Adamax, AMSGrad, AdamW, Adan], ids=lambda value: value.__name__)
def test_on_a_constant_slope_each_step_is_the_rate(rule):
    slope = np.array([1e-4, -2.0, 300.0])
    steps = walk(rule(0.25, epsilon=1e-30, weight_decay=0.0), np.zeros(3), np.tile(slope, (50, 1)))
    np.testing.assert_allclose(steps, -0.25 * np.outer(np.arange(1, 51), np.sign(slope)), rtol=1e-12)


def test_adagrad_and_gradient_descent_agree_where_the_accumulator_drowns_the_gradients():
    adagrad = walk(Adagrad(1e6, 1e-30, initial_accumulator=1e16), np.zeros(60), GRADIENTS)
    np.testing.assert_allclose(adagrad, walk(SGD(1e-2), np.zeros(60), GRADIENTS), rtol=1e-7, atol=1e-12)


def test_adadelta_and_gradient_descent_agree_where_epsilon_drowns_gradients_and_steps():
    adadelta = walk(Adadelta(0.01, 0.9, epsilon=1e16), np.zeros(60), GRADIENTS)
    np.testing.assert_allclose(adadelta, walk(SGD(0.01), np.zeros(60), GRADIENTS), rtol=1e-7, atol=1e-12)


def test_adamw_without_decay_is_adam():
    rate = OneCycle(0.05, 240)
    adamw = walk(AdamW(rate, weight_decay=0.0), START, GRADIENTS)
    assert adamw.tobytes() == walk(Adam(rate), START, GRADIENTS).tobytes()
    adamw, adam = (
        walk(make(), START, GRADIENTS) for make in (lambda: AdamW(rate), lambda: Adam(rate, weight_decay=0.01))
    )
    assert adamw.tobytes() == adam.tobytes()


def test_nadam_without_momentum_is_adam_without_momentum():
    nadam = walk(NAdam(0.03, 0.0, 0.95, 1e-4), START, GRADIENTS)
    np.testing.assert_allclose(nadam, walk(Adam(0.03, 0.0, 0.95, 1e-4), START, GRADIENTS), rtol=1e-12, atol=1e-12)


def test_amsgrad_is_adam_while_the_mean_square_never_falls():
    growing = LIVELY / np.abs(LIVELY) * np.geomspace(1e-3, 1e3, 240)[:, None]
    amsgrad, adam = (walk(rule(0.03, 0.8, 0.9), START, growing) for rule in (AMSGrad, Adam))
    assert amsgrad.tobytes() == adam.tobytes()
    assert not np.allclose(*(walk(rule(0.03, 0.8, 0.9), START, growing[::-1]) for rule in (AMSGrad, Adam)))


def test_amsgrad_of_the_paper_is_the_corrected_one_with_its_correction_put_into_the_rate():
    corrected = walk(AMSGrad(0.01, 0.8, 0.95, 1e-30), START, LIVELY)

    def rate(step):
        return 0.01 * (1 - 0.95 ** (step + 1)) ** 0.5 / (1 - 0.8 ** (step + 1))

    paper = walk(AMSGrad(rate, 0.8, 0.95, 1e-30, bias_correction=False), START, LIVELY)
    np.testing.assert_allclose(corrected, paper, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("beta2", "waiting"), [(0.999, 5), (0.6, 240), (0.0, 240)])
def test_radam_walks_by_the_corrected_momentum_while_it_waits(beta2, waiting):
    # With 0.999 rho_5 is 4.996 and rho_6 is 5.994; below 2/3 rho_inf itself is not above 5.
    radam = walk(RAdam(0.03, 0.8, beta2), START, GRADIENTS)
    momentum = walk(Momentum(lambda step: 0.03 / (1 - 0.8 ** (step + 1)), 0.8, "mean"), START, GRADIENTS)
    np.testing.assert_allclose(radam[:waiting], momentum[:waiting], rtol=1e-12, atol=1e-12)
    assert waiting == 240 or np.abs(radam[waiting] - momentum[waiting]).max() > 1


def test_radam_ends_as_adam():
    radam, adam = (walk(rule(0.03, 0.8, 0.9, 1e-3), START, GRADIENTS) for rule in (RAdam, Adam))
    np.testing.assert_allclose(np.diff(radam[200:], axis=0), np.diff(adam[200:], axis=0), rtol=1e-6, atol=1e-12)


def test_adan_without_the_change_of_the_gradient_is_adam():
    adan = walk(Adan(0.03, 0.8, 0.0, 0.95, 1e-4), START, GRADIENTS)
    np.testing.assert_allclose(adan, walk(Adam(0.03, 0.8, 0.95, 1e-4), START, GRADIENTS), rtol=1e-12, atol=1e-12)


def test_lion_with_equal_betas_walks_by_the_signs_of_mean_momentum():
    momentum, signs, theta = Momentum(1.0, 0.9, "mean"), [], START.copy()
    for g in GRADIENTS:
        momentum.step(theta, g.copy())
        signs.append(np.sign(momentum.moments()["v"]))
    lion = walk(Lion(0.25, 0.9, 0.9), np.zeros(60), GRADIENTS)
    np.testing.assert_allclose(lion, -0.25 * np.cumsum(signs, axis=0), rtol=1e-12, atol=1e-12)


def test_schedule_free_with_beta1_zero_walks_as_adam_and_averages_the_walk():
    rates = 0.03 * RECORDED["varying"]
    free = ScheduleFreeAdamW(lambda step: rates[step], 0.0, 0.95, 1e-30)
    z = walk(free, START, LIVELY)
    gamma = rates * np.sqrt(1 - 0.95 ** np.arange(1, 241))
    adam = walk(Adam(lambda step: rates[step], 0.0, 0.95, 1e-30), START, LIVELY)
    np.testing.assert_allclose(z, adam, rtol=1e-11, atol=1e-12)
    x = z[-1].copy()
    free.eval(x)
    np.testing.assert_allclose(x, np.average(adam, axis=0, weights=gamma**2), rtol=1e-11, atol=1e-12)


def test_muon_without_matrices_is_adam():
    rate = OneCycle(0.05, 240)
    adam = walk(Adam(rate), START, GRADIENTS).tobytes()
    for parts in (None, [], [Part(0, (30,)), Part(30, (1, 10)), Part(40, (10, 1)), Part(50, (5, 2), output=True)]):
        muon = Muon(rate)
        muon.allocate(60, np.float64, parts)
        assert walk(muon, START, GRADIENTS).tobytes() == adam


# ----- the orthogonal step


def muon_step(G, **arguments):
    """Minus the first step that Muon takes at a rate of 1 for a matrix with gradient G."""
    muon = Muon(1.0, **arguments)
    muon.allocate(G.size, G.dtype, [Part(0, G.shape)])
    theta = np.zeros(G.size, G.dtype)
    muon.step(theta, G.ravel().copy())
    return -theta.reshape(G.shape)


def matrix(shape, singular, seed=0):
    """Return U, V and the matrix U diag(singular) V^T, with random U and V."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((side, len(singular))))[0] for side in shape)
    return U, V, (U * singular) @ V.T


@pytest.mark.parametrize("shape", [(8, 8), (5, 30), (30, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_muon_keeps_the_directions_and_makes_them_equally_strong(shape, dtype):
    U, V, G = matrix(shape, np.geomspace(1, 0.02, 5) * 40)
    X = muon_step(G.astype(dtype), scaling="original") / max(1, shape[1] / shape[0]) ** 0.5
    assert X.dtype == dtype
    strength = U.T @ X @ V  # diagonal, if the directions stay
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(strength, np.diag(np.diag(strength)), atol=tolerance)
    np.testing.assert_allclose(X, U @ strength @ V.T, atol=tolerance)
    assert (np.diag(strength) > 0.67).all()
    assert (np.diag(strength) < 1.21).all()


def test_muon_does_not_mind_the_size_of_the_gradient():
    G = matrix((6, 9), np.geomspace(1, 0.1, 6))[2]
    np.testing.assert_allclose(muon_step(G * 1e6), muon_step(G), rtol=1e-5)


def test_muon_treats_a_matrix_and_its_transpose_alike():
    G = matrix((6, 9), np.geomspace(1, 0.1, 6))[2]
    np.testing.assert_allclose(muon_step(G.T.copy()), muon_step(G).T, rtol=1e-12)


def test_the_scales_of_muon():
    wide, tall = matrix((3, 12), [1.0, 0.9, 0.8])[2], matrix((12, 3), [1.0, 0.9, 0.8])[2]
    size = np.linalg.norm
    assert size(muon_step(wide, scaling="original")) == pytest.approx(2 * size(muon_step(tall, scaling="original")))
    ratio = size(muon_step(tall)) / size(muon_step(tall, scaling="original"))
    assert ratio == pytest.approx(0.2 * 12**0.5)
    # What the scale "match-rms" is for: entries about as large as with Adam, 0.2 to 0.4.
    assert 0.15 < size(muon_step(matrix((80, 50), np.linspace(1, 0.5, 50))[2])) / 4000**0.5 < 0.25


def test_the_momentum_of_muon_brings_back_directions_that_the_gradient_has_left():
    G, H = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    muon = Muon(1.0, momentum=0.5, nesterov=False, scaling="original")
    muon.allocate(4, np.float64, [Part(0, (2, 2))])
    steps = np.diff(walk(muon, np.zeros(4), np.array([G, H]).reshape(2, 4)), axis=0, prepend=0)
    first, second = (np.diag(-step.reshape(2, 2)) for step in steps)
    assert first[0] > 0.67
    assert first[1] == 0
    assert (second > 0.67).all()  # M is diag(1/2, 1): both count


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
    assert {name for name, rule in OPTIMIZERS.items() if rule().zero_gradient_is_noop} == {"sgd", "adagrad"}
    assert not any(rule(l2=0.1).zero_gradient_is_noop for rule in OPTIMIZERS.values())
    assert not any(rule(weight_decay=0.1).zero_gradient_is_noop for rule in OPTIMIZERS.values())
    assert SGD(clip_value=1.0, clip_norm=1.0).zero_gradient_is_noop


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_that_never_have_a_gradient_stay_finite_and_still(make, dtype):
    optimizer = make(weight_decay=0.0)
    theta = np.linspace(-1, 1, 4, dtype=dtype)
    before = theta.copy()
    for _ in range(50):
        optimizer.step(theta, np.zeros(4, dtype))
    np.testing.assert_array_equal(theta, before)
    optimizer.eval(theta)
    np.testing.assert_array_equal(theta, before)


@every
def test_tiny_and_huge_float32_gradients_stay_finite(make):
    optimizer = make()
    theta = np.zeros(9, np.float32)
    g = np.array([1e-45, -1e-30, 1e-20, -1e-12, 1e-4, 1.0, -1e6, 1e15, 0.0], np.float32)
    for _ in range(20):
        optimizer.step(theta, g.copy())
        g = -g
    assert np.isfinite(theta).all()
    optimizer.eval(theta)
    assert np.isfinite(theta).all()


# ----- numbers and passes


@every
@pytest.mark.parametrize("rate", [0.02, np.float64(0.02), lambda step: np.float64(0.02)])
def test_float32_stays_float32_and_near_float64(make, rate):
    g = np.clip(GRADIENTS, -1, 1)
    optimizer = make(rate)
    theta = START.astype(np.float32)
    steps = walk(optimizer, theta, g.astype(np.float32))
    assert steps.dtype == np.float32
    rows = [row for row in optimizer.state().values() if isinstance(row, np.ndarray)]
    assert all(row.dtype == np.float32 for row in [*rows, *optimizer.moments().values()])
    assert steps.tobytes() == walk(make(0.02), theta, g.astype(np.float32)).tobytes()
    np.testing.assert_allclose(steps, walk(make(0.02), START, g), rtol=1e-3, atol=1e-4)


class Counted(np.ndarray):
    """An array that counts the ufunc calls it takes part in."""

    calls = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        Counted.calls += 1
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        assert out, f"{ufunc.__name__} makes a new array"
        getattr(ufunc, method)(*plain, out=tuple(x.view(np.ndarray) for x in out), **kwargs)
        return out[0]


def passes(optimizer, steps):
    """Ufunc calls of the rule after so many steps."""
    for _ in range(steps):
        optimizer.step(np.zeros(5), np.ones(5))
    rows = len(optimizer.rows) + len(optimizer.scratch)
    Counted.calls = 0
    optimizer.rule(*np.ones((2 + rows, 5)).view(Counted), 0.1)
    return Counted.calls


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "muon-rest"])  # whose price is products
def test_passes_over_the_parameters_are_those_of_the_docstring(name):
    optimizer = PLAIN[name]()
    assert f" {passes(optimizer, 1)} passes" in " ".join(type(optimizer).__doc__.split())


def test_radam_has_as_many_passes_as_it_says_before_and_after_its_wait():
    doc = " ".join(RAdam.__doc__.split())
    assert f" {passes(RAdam(), 1)} passes while it waits, then {passes(RAdam(), 9)} passes" in doc


# ----- arguments


def test_defaults():
    adam = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    muon = {"momentum": 0.95, "nesterov": True, "ns_steps": 5, "scaling": "match-rms"}
    adan = {"beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "epsilon": 1e-8}
    rmsprop = {"rho": 0.9, "epsilon": 1e-8, "epsilon_in_root": False}
    assert {name: rule().describe() for name, rule in OPTIMIZERS.items()} == {
        "sgd": {"type": "SGD", "learning_rate": 0.01},
        "momentum": {"type": "Momentum", "learning_rate": 0.01, "momentum": 0.9, "form": "classical"},
        "nesterov": {"type": "Nesterov", "learning_rate": 0.01, "momentum": 0.9, "form": "classical"},
        "adagrad": {"type": "Adagrad", "learning_rate": 0.01, "epsilon": 1e-8, "initial_accumulator": 0.0},
        "rmsprop": {"type": "RMSprop", "learning_rate": 0.001, **rmsprop},
        "adadelta": {"type": "Adadelta", "learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6},
        "adam": {"type": "Adam", "learning_rate": 0.001, **adam},
        "adamax": {"type": "Adamax", "learning_rate": 0.002, **adam},
        "nadam": {"type": "NAdam", "learning_rate": 0.002, **adam, "momentum_decay": 0.004},
        "amsgrad": {"type": "AMSGrad", "learning_rate": 0.001, **adam, "bias_correction": True},
        "adamw": {"type": "AdamW", "learning_rate": 0.001, **adam, "weight_decay": 0.01},
        "radam": {"type": "RAdam", "learning_rate": 0.001, **adam, "threshold": 5.0},
        "adan": {"type": "Adan", "learning_rate": 0.001, **adan},
        "lion": {"type": "Lion", "learning_rate": 0.0001, "beta1": 0.9, "beta2": 0.99},
        "schedule-free-adamw": {"type": "ScheduleFreeAdamW", "learning_rate": 0.0025, **adam},
        "muon": {"type": "Muon", "learning_rate": 0.002, **muon, **adam},
    }


def test_numpy_hyperparameters_become_python_floats():
    adam = Adam(0.01, np.float64(0.8), np.float64(0.9), np.float64(1e-6))
    assert [type(x) for x in (adam.beta1, adam.beta2, adam.epsilon)] == [float, float, float]


FRACTIONS = [  # from 0 up to 1
    *((rule, "momentum") for rule in (Momentum, Nesterov, Muon)),
    *((rule, "rho") for rule in (RMSprop, Adadelta)),
    *((rule, "beta1") for rule in (Adam, Adamax, NAdam, AMSGrad, AdamW, RAdam, Adan, Lion, ScheduleFreeAdamW, Muon)),
    *((rule, "beta2") for rule in (Adam, Adamax, NAdam, AMSGrad, AdamW, RAdam, Adan, Lion, ScheduleFreeAdamW, Muon)),
    (Adan, "beta3"),
]
EPSILONS = [Adagrad, RMSprop, Adadelta, Adam, Adamax, NAdam, AMSGrad, AdamW, RAdam, Adan, ScheduleFreeAdamW, Muon]


@pytest.mark.parametrize(
    ("rule", "name", "value"),
    [
        *((rule, "learning_rate", value) for rule in OPTIMIZERS.values() for value in (0.0, -1.0, None)),
        (SGD, "learning_rate", float("nan")),
        *((rule, name, value) for rule, name in FRACTIONS for value in (1.0, -0.1, "0.9")),
        *((rule, "epsilon", value) for rule in EPSILONS for value in (0.0, float("inf"))),
        (Momentum, "form", "nesterov"),
        (Nesterov, "form", "mean"),
        (Adagrad, "initial_accumulator", -1.0),
        (RMSprop, "epsilon_in_root", 1e-8),
        (NAdam, "momentum_decay", -0.004),
        (AMSGrad, "bias_correction", 1),
        (RAdam, "threshold", 3.0),
        (Muon, "nesterov", 1),
        (Muon, "ns_steps", 0),
        (Muon, "ns_steps", 2.5),
        (Muon, "scaling", "spectral"),
    ],
)
def test_senseless_arguments_are_refused_by_name(rule, name, value):
    with pytest.raises(ConfigError, match=rf"^{name} (must be a .*, not .*|is .*; give .*)\.$"):
        rule(**{name: value})


@pytest.mark.parametrize("rate", [1e200, 1e-170])
def test_schedule_free_takes_rates_whose_squares_are_no_numbers(rate):
    optimizer, theta = ScheduleFreeAdamW(rate), np.zeros(2)
    with np.errstate(all="ignore"):
        for _ in range(3):
            optimizer.step(theta, np.ones(2))
    assert optimizer.steps == 3


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_rule_hands_on_what_all_have_in_common(rule):
    optimizer = OPTIMIZERS[rule](0.1, l2=0.25, clip_value=3.0, clip_norm=2.0)
    assert (optimizer.l2, optimizer.clip_value, optimizer.clip_norm) == (0.25, 3.0, 2.0)
    assert OPTIMIZERS[rule](0.1, weight_decay=0.5).weight_decay == 0.5


def test_muon_may_take_a_single_step_of_newton_and_schulz():
    assert Muon(ns_steps=1).ns_steps == 1
    with pytest.raises(ConfigError, match="ns_steps"):
        Muon(ns_steps=0)
