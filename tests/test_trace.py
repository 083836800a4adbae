"""A step that is opened: the same bits as one that is not, and what is said about each number."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import glassnet
from glassnet.data import Preprocessing, from_arrays
from glassnet.errors import ConfigError
from glassnet.layers import ACTIVATIONS, Dense, Dropout, Flatten, Identity, Layer, ReLU, Sigmoid, Softmax, Tanh
from glassnet.losses import LOSSES, Loss, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from glassnet.model import Model
from glassnet.network import Network
from glassnet.optim import OPTIMIZERS, SGD, Adam, AdamW, Momentum, Nesterov, RAdam, ScheduleFreeAdamW
from glassnet.optimizer import Optimizer
from glassnet.schedules import Cosine
from glassnet.trace import MOST_SAMPLES, Trace, trace_step
from glassnet.trace.letters import rule_of
from glassnet.trace.sources import source_of
from glassnet.training import Training

Array = NDArray[Any]

SHAPE = (3, 4)


def network_of(*layers: Layer, dtype: str = "float32") -> Network:
    return Network([Flatten(), *layers], SHAPE, seed=3, dtype=dtype)


def usual(dtype: str = "float32") -> Network:
    return network_of(Dense(7), ReLU(), Dense(5), Tanh(), Dense(4), Softmax(), dtype=dtype)


def samples(n: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(8)
    targets = np.arange(40) % 4
    return rng.integers(0, 256, (40, *SHAPE)).astype(np.uint8)[:n], targets[:n]


def model_of(network: Network, loss: Loss | None = None) -> Model:
    return Model(network, Preprocessing(1 / 255), ("a", "b", "c", "d"), loss or SoftmaxCrossEntropy())


class Recorder:
    """Copies of what layers return in an ordinary step, whose arrays are written over soon after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, layers: tuple[Layer, ...]) -> None:
        self.seen: dict[str, list[Array]] = {"forward": [], "backward": []}
        for kind in {type(layer) for layer in layers}:
            for way in self.seen:
                monkeypatch.setattr(kind, way, self.recording(getattr(kind, way), way))

    def recording(self, method: Callable[..., Any], way: str) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self.seen[way].append(None if result is None else result.copy())
            return result

        return record


def ordinary(
    network: Network, loss: Loss, optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> tuple[Training, Array, dict[str, list[Array]]]:
    """Take the first step of a training, whose batch is the first six of more samples, and return what it left."""
    network = copy.deepcopy(network)
    data = from_arrays(*samples(40), validation=0, preprocessing=Preprocessing(1 / 255))
    run = Training(network, data, optimizer, loss, batch_size=6, max_steps=1, shuffle=False, threads=1, **more)
    assert run.plan.columns is None
    stepper = run.plan.alone()
    stepper.fetch(network)
    recorder = Recorder(monkeypatch, network.layers)
    end = stepper.compute()
    grad = stepper._grad.copy()
    monkeypatch.undo()
    stepper.update(end)
    stepper.publish(network)
    return run, grad, recorder.seen


def same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def check_bits(
    network: Network, loss: Loss, optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Trace:
    traced = trace_step(model_of(network, loss), *samples(), copy.deepcopy(optimizer), **more)
    run, grad, seen = ordinary(network, loss, optimizer, monkeypatch, **more)
    values = [entry.value for entry in traced.entries]
    for array in seen["forward"][1:]:  # the first one is the flattened input
        assert any(same(array, value) for value in values)
    for array in seen["backward"]:
        assert array is None or any(same(array, value) for value in values)
    assert same(traced["x"].value.reshape(6, -1), seen["forward"][0])
    for slot in network.layout.slots:
        own = grad[slot.slice].reshape(slot.param.shape)
        wanted = slot.layer not in run.plan.frozen
        assert any(same(own, entry.value) for entry in traced.entries if entry.name.startswith("d")) == wanted
    assert same(traced.after.network.theta, run.network.theta)
    ours, theirs = traced.optimizer.state(), run.optimizer.state()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    return traced


def output_of(loss: str) -> Layer:
    return {"softmax-crossentropy": Softmax(), "sigmoid-crossentropy": Sigmoid(), "mse": Sigmoid()}[loss]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_activation_and_loss_gives_the_bits_of_an_ordinary_step(
    name: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    activation = ACTIVATIONS[name]()
    network = network_of(Dense(7), activation, Dense(5), activation, Dense(4), output_of(loss))
    traced = check_bits(network, LOSSES[loss](), Adam(), monkeypatch)
    for array in ("W1", "b1", "W2", "W3"):
        index = np.unravel_index(np.argmax(np.abs(traced[f"d{array}"].value)), traced[array].value.shape)
        numeric = traced.numeric_derivative(array, tuple(int(i) for i in index))
        assert traced[f"d{array}"].value[index] == pytest.approx(numeric, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_gives_the_bits_of_an_ordinary_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_bits(usual(), SoftmaxCrossEntropy(), OPTIMIZERS[name](0.01), monkeypatch)


@pytest.mark.parametrize(
    "more",
    [{"l2": 0.01}, {"weight_decay": 0.1}, {"clip_norm": 0.05}, {"clip_value": 0.001}],
    ids=lambda more: next(iter(more)),
)
def test_what_comes_before_the_rule_is_in_the_step_and_in_its_equations(
    more: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = check_bits(usual(), SoftmaxCrossEntropy(), SGD(0.01, **more), monkeypatch)  # type: ignore[arg-type]
    plain = trace_step(model_of(usual()), *samples(), SGD(0.01))
    assert len(traced["W1_new"].equations) == len(plain["W1_new"].equations) + 1
    assert not same(traced["W1_new"].value, plain["W1_new"].value)


@pytest.mark.parametrize("optimizer", [SGD(0.01, l2=0.01), AdamW(0.01, weight_decay=0.1)], ids=repr)
def test_biases_do_not_decay(optimizer: Optimizer) -> None:
    traced = trace_step(model_of(usual()), *samples(), optimizer)
    assert [line for line in traced["W1_new"].equations if "λ" in line.text] != []
    assert [line for line in traced["b1_new"].equations if "λ" in line.text] == []
    assert traced["b1_new"].equations == rule_of(optimizer)[1:]


@pytest.mark.parametrize(
    "loss",
    [
        SoftmaxCrossEntropy("sum"),
        SoftmaxCrossEntropy(label_smoothing=0.2),
        SigmoidCrossEntropy(label_smoothing=0.1),
        MeanSquaredError("sum", 0.02),
    ],
    ids=repr,
)
def test_reductions_and_smoothing_give_the_bits_of_an_ordinary_step(
    loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Softmax() if isinstance(loss, SoftmaxCrossEntropy) else Sigmoid()
    traced = check_bits(network_of(Dense(6), ReLU(), Dense(4), output), loss, SGD(0.1), monkeypatch)
    smoothed = bool(loss.label_smoothing)  # type: ignore[attr-defined]
    assert traced["t"].symbol.text == ("t′" if smoothed else "t")
    assert ("t′" in traced["L"].equations[0].text) == smoothed
    assert ("/ N" in traced[f"d{'z2' if loss.fused_with else 'o'}"].equations[0].text) == (loss.reduction == "mean")


def test_dropout_draws_the_masks_of_the_step_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(Dense(20), Tanh(), Dropout(0.4), Dense(4), Softmax())
    traced = check_bits(network, SoftmaxCrossEntropy(), Adam(), monkeypatch, seed=5)
    assert traced["y1_"].symbol.text == "y₁′"
    assert sorted(set(traced["mask_y1_"].value.ravel().round(4).tolist())) == [0.0, pytest.approx(1 / 0.6, abs=1e-4)]
    later = trace_step(model_of(network), *samples(), Adam(), seed=5, step=1)
    assert not same(later["mask_y1_"].value, traced["mask_y1_"].value)
    index = (3, 2)
    assert later["dW1"].value[index] == pytest.approx(later.numeric_derivative("W1", index), rel=1e-4, abs=1e-8)


def test_frozen_layers_are_left_out_of_gradients_and_update(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = check_bits(usual(), SoftmaxCrossEntropy(), Adam(), monkeypatch, frozen=["dense_1"])
    assert "W1" in traced
    assert not {"dW1", "dz1", "m_W1", "W1_new"} & {entry.name for entry in traced.entries}
    assert same(traced.after.network.params[1].W, traced["W1"].value)


def test_sample_weights_are_in_the_loss_and_in_its_equations() -> None:
    weights = np.array([1.0, 2.0, 0.5, 1.0, 0.0, 1.5])
    traced = trace_step(model_of(usual("float64")), *samples(), SGD(0.1), weights=weights)
    each = traced["L"].value
    assert traced.loss == pytest.approx(float(weights @ each) / weights.sum())
    assert traced["L"].equations[1].text == "L = Σ_n w[n] L[n] / Σ_n w[n]"
    assert not traced["dz3"].value[4].any()
    assert traced.numeric_derivative("W2", (1, 2)) == pytest.approx(traced["dW2"].value[1, 2], rel=1e-6)


def test_the_moments_are_those_of_the_paper() -> None:
    model, adam = model_of(usual("float64")), Adam(0.05, beta1=0.8, beta2=0.95)
    m = v = np.zeros((12, 7))
    for t in range(1, 5):
        traced = trace_step(model, *samples(), adam, step=t - 1)
        g = traced["dW1"].value
        before = m, v
        m, v = 0.8 * m + (1 - 0.8) * g, 0.95 * v + (1 - 0.95) * g * g
        theta = traced["W1"].value - 0.05 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8)
        for name, value, old in (("m_W1", m, before[0]), ("v_W1", v, before[1]), ("W1_new", theta, traced["W1"].value)):
            np.testing.assert_allclose(traced[name].value, value, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(traced[name].before, old, rtol=1e-12, atol=1e-15)  # type: ignore[arg-type]
        assert (traced.t, traced.learning_rate) == (t, 0.05)
        model, adam = traced.after, traced.optimizer  # type: ignore[assignment]


def test_model_and_optimizer_stay_as_they_were_and_their_state_counts() -> None:
    model, optimizer = model_of(usual()), Adam(Cosine(0.1, 10))
    theta = model.network.theta.copy()
    first = trace_step(model, *samples(), optimizer)
    assert not optimizer.allocated
    assert same(model.network.theta, theta)
    assert not same(first.after.network.theta, theta)
    optimizer = first.optimizer  # type: ignore[assignment]
    state = copy.deepcopy(optimizer.state())
    second = trace_step(first.after, *samples(), optimizer)
    assert (second.t, second.learning_rate) == (2, Cosine(0.1, 10)(1))
    assert all(np.array_equal(optimizer.state()[name], state[name]) for name in state)


def test_a_schedule_free_walk_is_traced_where_its_gradient_is_taken() -> None:
    model, free = model_of(usual()), ScheduleFreeAdamW(0.1)
    first = trace_step(model, *samples(), free)
    assert np.array_equal(first["z_W1"].before, first["W1"].value)  # type: ignore[arg-type]
    second = trace_step(first.after, *samples(), first.optimizer)
    assert same(second["W1"].value, first["W1_new"].value)  # y, not the average that is kept


def test_the_lines_that_are_named_are_those_of_the_files() -> None:
    traced = trace_step(model_of(usual()), *samples())
    root = Path(glassnet.__file__).parent
    sources = {source for entry in traced.entries for source in entry.sources}
    assert {source.file for source in sources} >= {"layers/basic.py", "functional.py", "losses.py", "optim.py"}
    for source in sources:
        lines = (root / source.file).read_text(encoding="utf-8").splitlines()[source.first - 1 : source.last]
        assert [line.strip() for line in lines] == [line.strip() for line in source.code.splitlines()]
    assert "g.W" in traced["dW1"].sources[0].code
    assert str(traced["dW1"].sources[0]).startswith("layers/basic.py:")
    for entry in traced.entries:
        assert bool(entry.equations) == bool(entry.sources), entry.name


def test_each_entry_names_the_same_in_other_frameworks() -> None:
    traced = trace_step(model_of(usual()), *samples())
    assert traced["z1"].calls == {"torch": "z1 = nn.Linear(12, 7)(x)", "keras": "z1 = layers.Dense(7)(x)"}
    assert traced["W1"].calls["torch"] == "dense_1.weight.T"
    assert traced["L"].calls["torch"] == "L = F.cross_entropy(z3, t)"
    assert traced["dW1"].calls["keras"] == "tape.gradient(L, dense_1.kernel)"
    assert traced["m_W1"].calls["torch"] == 'optimizer.state[dense_1.weight]["exp_avg"].T'
    assert all(entry.calls for entry in traced.entries)


def test_inversion_and_mean_are_in_the_calls_of_the_input() -> None:
    def calls(preprocessing: Preprocessing) -> Any:
        model = replace(model_of(usual()), preprocessing=preprocessing)
        return trace_step(model, *samples())["x"].calls

    assert calls(Preprocessing(0.25, invert=True, mean=0.5)) == {
        "torch": "x = 1 - torch.tensor(raw) * 0.25 - 0.5",
        "keras": "x = 1 - ops.array(raw) * 0.25 - 0.5",
    }
    assert calls(Preprocessing(0.25, mean=(0.5,) * 12))["torch"] == "x = torch.tensor(raw) * 0.25 - torch.tensor(mean)"


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_a_velocity_is_named_where_it_is_the_same_number(kind: type[Momentum | Nesterov]) -> None:
    where = 'optimizer.state[dense_1.weight]["momentum_buffer"].T'
    assert trace_step(model_of(usual()), *samples(), kind(0.1, form="sum"))["v_W1"].calls == {"torch": where}
    assert trace_step(model_of(usual()), *samples(), kind(0.1))["v_W1"].calls == {"keras": "optimizer.variables"}


class Steep(Tanh):
    """An activation whose functions are lambdas."""

    f = staticmethod(lambda x, out=None, scratch=None: np.tanh(x, out=out))
    df = staticmethod(
        lambda y, out=None, scratch=None: np.subtract(1, y * y, out=out)
    )  # fmt: skip


def test_a_lambda_s_line_is_named_whole() -> None:
    traced = trace_step(model_of(network_of(Dense(5), Steep(), Dense(4), Softmax())), *samples())
    assert traced["y1"].sources[0].code == (
        "f = staticmethod(lambda x, out=None, scratch=None: np.tanh(x, out=out))"
    )  # fmt: skip
    assert "np.subtract(1, y * y, out=out)" in traced["slope_z1"].sources[0].code
    assert traced["y1"].sources[0].file == "test_trace.py"
    assert source_of(eval("lambda: 0")) == ()


class Doubled(Identity):
    """A layer that glassnet does not know."""

    def forward(self, p: Any, x: Array, ws: Any) -> Array:
        return x + x

    def backward(self, p: Any, g: Any, dy: Array, ws: Any) -> Array:
        return dy + dy


def test_a_layer_of_ones_own_is_traced_without_its_equations() -> None:
    traced = trace_step(model_of(network_of(Dense(5), Doubled(), Dense(4), Softmax())), *samples())
    assert traced["y1"].equations[0].text == "y₁ = f(z₁)"
    assert np.array_equal(traced["y1"].value, 2 * traced["z1"].value)
    assert traced["y1"].calls == {}
    assert traced["dW1"].value[2, 3] == pytest.approx(traced.numeric_derivative("W1", (2, 3)), rel=1e-4)


def test_an_identity_hands_on_what_comes_from_above() -> None:
    traced = trace_step(model_of(network_of(Dense(5), Identity(), Dense(4), Softmax())), *samples())
    assert traced["dz1"].equations[0].text == "δ₁ = ∂L/∂y₁"
    assert same(traced["dz1"].value, traced["dy1"].value)
    loss = MeanSquaredError()
    traced = trace_step(model_of(network_of(Dense(5), Tanh(), Dense(4), Identity()), loss), *samples())
    assert same(traced["dz2"].value, traced["do"].value)


def test_radam_says_whether_it_waits() -> None:
    model, radam = model_of(usual()), RAdam(0.01)
    for t in range(1, 8):
        traced = trace_step(model, *samples(), radam)
        model, radam = traced.after, traced.optimizer  # type: ignore[assignment]
        assert ("rₜ" in traced["W1_new"].equations[-1].text) == (t > 5)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x, t: (x[:0], t[:0]), "1 to 250 samples, not 0"),
        (lambda x, t: (np.repeat(x, 50, axis=0), np.repeat(t, 50)), f"1 to {MOST_SAMPLES} samples, not 300"),
        (lambda x, t: (x[:, :2], t), "shape"),
        (lambda x, t: (x, t + 7), "class"),
    ],
)
def test_samples_that_do_not_fit_are_refused(change: Callable[..., tuple[Array, Array]], what: str) -> None:
    with pytest.raises(glassnet.GlassnetError, match=what):
        trace_step(model_of(usual()), *change(*samples()))


def test_a_name_or_place_that_is_not_there_is_refused() -> None:
    traced = trace_step(model_of(usual()), *samples())
    with pytest.raises(ConfigError, match="no 'q'; it has x, W1"):
        traced["q"]
    with pytest.raises(ConfigError, match=r"W1 of shape \(12, 7\) has no entry \(12, 0\)"):
        traced.numeric_derivative("W1", (12, 0))
    with pytest.raises(ConfigError, match="no parameters 'z1'"):
        traced.numeric_derivative("z1", (0, 0))
    adam = Adam()
    adam.allocate(3, np.float32)
    with pytest.raises(ConfigError, match="restore a state of the same network"):
        trace_step(model_of(usual()), *samples(), adam)
