import copy
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.diagnosis import all_finite, first_bad_number
from glassnet.errors import ConfigError
from glassnet.gradcheck import fill_with_nan
from glassnet.initializers import Normal
from glassnet.layers import (
    ACTIVATIONS,
    ELU,
    GELU,
    LAYERS,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from glassnet.losses import LOSSES, MeanSquaredError, SoftmaxCrossEntropy
from glassnet.network import Network, Workspace
from glassnet.optim import Adam

HIDDEN = [kind for kind in ACTIVATIONS.values() if kind is not Softmax]


def pointer(array):
    return array.__array_interface__["data"][0]


def classifier(*layers, inputs=6, dtype="float64", seed=0):
    return Network([*layers, Dense(3), Softmax()], inputs, dtype=dtype, seed=seed)


def step(network, ws, x, t, loss=None, weights=None, norm=None, dirty=True):
    """Forward, loss, backward, with whatever was in memory before destroyed; return outputs and gradient."""
    loss = loss or SoftmaxCrossEntropy()
    if dirty:
        fill_with_nan(network, ws)
    o = network.forward(x, ws)
    dy = loss.gradient(o, t, weights, norm, out=ws.current.dy)
    network.backward(dy, ws, skip_last=loss.fused_with is not None)
    return o.copy(), network.grad.copy()


def data(n=10, shape=(6,), dtype="float64", classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *shape)).astype(dtype), np.eye(classes, dtype=dtype)[rng.integers(0, classes, n)]


# ----- layers fit, or are refused


def test_shapes_are_inferred():
    network = Network([Flatten(), Dense(100), ReLU(), Dropout(0.2), Dense(10), Softmax()], (28, 28))
    assert network.shapes == [(28, 28), (784,), (100,), (100,), (100,), (10,), (10,)]
    assert network.output_shape == (10,)
    assert network.theta.shape == network.grad.shape == (784 * 100 + 100 + 100 * 10 + 10,)
    assert network.state.shape == (0,)


@pytest.mark.parametrize("inputs", [3, (3,), [3], np.int64(3), np.array([3]), np.array(3)])
def test_ways_to_say_the_input_shape(inputs):
    assert Network([Dense(2)], inputs).shapes == [(3,), (2,)]


@pytest.mark.parametrize(
    ("layers", "inputs", "options", "sentence"),
    [
        ([], 3, {}, "at least one layer"),
        ([Dense(3), "relu"], 3, {}, "layers such as Dense.*'relu' is none"),
        ([Dense], 3, {}, "Dense.*is none"),
        ([Dense(3)], 0, {}, r"sides of at least 1, not \(0,\)"),
        ([Dense(3)], (), {}, r"sides of at least 1, not \(\)"),
        ([Flatten()], (4, -1), {}, r"sides of at least 1, not \(4, -1\)"),
        ([Dense(3)], 3, {"dtype": int}, "float32 or float64, not int64"),
        ([Dense(3)], 3, {"dtype": np.float16}, "float32 or float64, not float16"),
        ([Dense(3)], (4, 4), {}, "Flatten"),
        ([Dense(1), Softmax()], 4, {}, "at least 2 classes"),
        ([Softmax()], (4, 4), {}, "at least 2 classes"),
    ],
)
def test_what_does_not_fit_is_refused(layers, inputs, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Network(layers, inputs, **options)


@pytest.mark.parametrize(
    "theta",
    [
        np.zeros(10, np.float32),
        np.zeros(8, np.float64),
        np.zeros((2, 4), np.float32),
        np.zeros(16, np.float32)[::2],
    ],
    ids=["size", "dtype", "shape", "stride"],
)
def test_memory_that_does_not_fit_is_refused(theta):
    with pytest.raises(ConfigError, match="contiguous float32 vector of 8 numbers"):
        Network([Dense(2)], 3, theta=theta)


def test_names_count_each_kind():
    network = Network([Flatten(), Dense(4), ReLU(), Dense(3), LeakyReLU(), Dense(2), ReLU()], (2, 2))
    assert network.names == ["flatten_1", "dense_1", "relu_1", "dense_2", "leakyrelu_1", "dense_3", "relu_2"]


def test_summary():
    network = Network([Flatten(), Dense(100), ReLU(), Dense(10), Softmax()], (28, 28))
    lines = network.summary().splitlines()
    assert [line.split() for line in lines] == [
        ["Layer", "(type)", "Output", "Shape", "Param", "#"],
        ["-" * len(lines[0])],
        ["flatten_1", "(Flatten)", "(N,", "784)", "0"],
        ["dense_1", "(Dense)", "(N,", "100)", "78,500"],
        ["relu_1", "(ReLU)", "(N,", "100)", "0"],
        ["dense_2", "(Dense)", "(N,", "10)", "1,010"],
        ["softmax_1", "(Softmax)", "(N,", "10)", "0"],
        ["-" * len(lines[0])],
        ["Trained", "parameters:", "79,510", "(318,040", "bytes)"],
    ]
    assert len({len(line) for line in lines[:-1]}) == 1


# ----- one vector


def test_writing_theta_changes_the_views():
    network = classifier(Dense(4), ReLU())
    network.theta[:] = np.arange(network.theta.size)
    np.testing.assert_array_equal(network.params[0].W.ravel(), np.arange(19, 43))
    np.testing.assert_array_equal(network.params[0].b, [15, 16, 17, 18])
    np.testing.assert_array_equal(network.params[2].W.ravel(), np.arange(3, 15))
    np.testing.assert_array_equal(network.params[2].b, [0, 1, 2])
    network.params[0].b[:] = -1
    assert (network.theta[15:19] == -1).all()
    network.grads[2].b[:] = 7
    assert (network.grad[:3] == 7).all()


def test_given_memory_is_used_as_it_is():
    memory = np.linspace(-1, 1, 20)
    theta = memory[2:10]
    before = memory.copy()
    network = Network([Dense(2)], 3, dtype="float64", theta=theta)
    assert network.theta is theta
    np.testing.assert_array_equal(memory, before)
    network.params[0].W[0, 0] = 42  # W follows b
    assert memory[4] == 42
    x = np.ones((1, 3))
    assert network.predict(x)[0, 0] == pytest.approx(memory[2] + 42 + memory[6] + memory[8])


def test_one_seed_gives_one_network():
    a, b, c = (classifier(Dense(4), seed=seed) for seed in (1, 1, 2))
    assert a.theta.tobytes() == b.theta.tobytes() != c.theta.tobytes()
    theta = c.theta
    c.initialize(1)
    assert c.theta is theta
    assert c.theta.tobytes() == a.theta.tobytes()


def test_precision_does_not_change_the_draw():
    a, b = classifier(Dense(4), dtype="float32"), classifier(Dense(4), dtype="float64")
    assert (a.theta.dtype, b.theta.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(a.theta, b.theta.astype(np.float32))


def test_a_deep_copy_is_whole_and_on_its_own():
    network = classifier(Dense(4), Tanh())
    other = copy.deepcopy(network)
    assert other.theta.tobytes() == network.theta.tobytes()
    assert not np.shares_memory(other.theta, network.theta)
    before = network.theta.copy()
    other.theta[:] = 0  # must reach the views of the copy, and nothing else
    x, _ = data()
    np.testing.assert_allclose(other.predict(x), 1 / 3)
    np.testing.assert_array_equal(network.theta, before)
    ws = Workspace(other, 10)
    _, grad = step(other, ws, *data())
    assert np.abs(grad).max() > 0.01
    assert (other.layers, other.shapes, other.dtype) == (network.layers, network.shapes, network.dtype)


# ----- which buffers share memory


def test_in_place_where_nobody_reads_it_again():
    network = classifier(Dense(4), ReLU(), Dense(5), Dropout(0.5), Tanh())
    ws = Workspace(network, 10)
    dense, relu, dense2, dropout, tanh, dense3, softmax = ws.current.spaces
    assert pointer(relu.y) == pointer(dense.y)
    assert pointer(dropout.y) == pointer(dense2.y) == pointer(tanh.y)
    assert pointer(dropout.dx) == pointer(dense3.dx) == pointer(tanh.dx)
    assert pointer(relu.dx) == pointer(dense2.dx)
    separate = [dense.y, dense2.y, dense3.y, softmax.y, dense2.dx, dense3.dx, relu.slope, tanh.slope, dropout.mask]
    assert len({pointer(array) for array in separate}) == len(separate)
    for i, a in enumerate(separate):
        assert not any(np.shares_memory(a, b) for b in separate[i + 1 :])


def test_the_buffers_are_what_the_step_writes_into():
    network = classifier(Dense(4), ReLU())
    ws = Workspace(network, 10)
    x, t = data()
    dense, relu, _, softmax = ws.current.spaces
    o = network.forward(x, ws)
    assert o is softmax.y
    assert ws.current.spaces[2].x is relu.y
    assert pointer(ws.current.spaces[2].x) == pointer(dense.y)
    assert (relu.y >= 0).all()
    assert ws.scores is ws.current.spaces[2].y
    dy = SoftmaxCrossEntropy().gradient(o, t, out=ws.current.dy)
    assert dy is ws.current.dy
    network.backward(dy, ws, skip_last=True)
    np.testing.assert_array_equal(relu.dx == 0, relu.y == 0)


def test_keep_all_gives_everything_memory_of_its_own():
    network = classifier(Dense(4), Dropout(0.5), ReLU(), Dense(5), Tanh())
    ws = Workspace(network, 10, keep_all=True)
    arrays = [
        array
        for space in ws.current.spaces
        for array in vars(space).values()
        if isinstance(array, np.ndarray) and array.size
    ] + [ws.current.dy]
    assert len(arrays) > 15
    assert len({pointer(array) for array in arrays}) == len(arrays)
    x, t = data()
    step(network, ws, x, t)
    before, after = ws.current.spaces[1].y, ws.current.spaces[2].y
    assert (before < 0).any()  # what went into ReLU can still be seen
    np.testing.assert_array_equal(np.where(before > 0, before, 0), after)


def test_an_activation_that_reads_its_input_again_does_not_overwrite_it():
    for kind in (SiLU, GELU):
        network = classifier(Dense(4), kind())
        dense, activation, *_ = Workspace(network, 3).current.spaces
        assert not np.shares_memory(dense.y, activation.y)


def test_the_last_layer_leaves_the_scores_alone():
    for last in (Softmax(), Sigmoid(), Tanh(), Dropout(0.5)):
        network = Network([Dense(3), last], 6)
        dense, output = Workspace(network, 4).current.spaces
        assert not np.shares_memory(dense.y, output.y)


@pytest.mark.parametrize(
    "first", [[kind()] for kind in HIDDEN] + [[Dropout(0.5), ReLU()], [Softmax()], [Flatten(), Tanh()]]
)
@pytest.mark.parametrize("train", [True, False])
def test_the_samples_are_not_overwritten(first, train):
    network = classifier(*first)
    x, _ = data()
    kept = x.copy()
    network.forward(x, Workspace(network, 10, train=train))
    np.testing.assert_array_equal(x, kept)


hidden_layers = st.one_of(
    st.builds(Dense, st.integers(2, 7), weights=st.just(Normal(0.7)), bias=st.just(Normal(0.5))),
    st.sampled_from([kind() for kind in HIDDEN]),
    st.sampled_from([Flatten(), Softmax(), LeakyReLU(0.3), ELU(0.5)]),
    st.builds(Dropout, st.sampled_from([0.0, 0.2, 0.6])),
)


@st.composite
def architectures(draw):
    """Layers, input shape and loss: any stack, sometimes over pictures, with the output that goes with the loss."""
    loss = draw(st.sampled_from(sorted(LOSSES)))
    output = {"softmax-crossentropy": Softmax(), "sigmoid-crossentropy": Sigmoid()}.get(loss)
    if output is None:
        output = draw(
            st.sampled_from([Identity(), Sigmoid(), Tanh(), ReLU(), SiLU(), Dense(3), Flatten(), Dropout(0.3)])
        )
    shape = draw(st.sampled_from([(6,), (2, 3)]))
    below = []
    if len(shape) > 1:  # what works on pictures, then rows
        kinds = [*(kind() for kind in HIDDEN), Dropout(0.3)]
        below = [*draw(st.lists(st.sampled_from(kinds), max_size=2)), Flatten()]
    return [*below, *draw(st.lists(hidden_layers, max_size=8)), Dense(3, Normal(0.7)), output], shape, LOSSES[loss]()


@settings(deadline=None, max_examples=300)
@given(architecture=architectures(), dtype=st.sampled_from(["float32", "float64"]), n=st.integers(1, 5))
def test_shared_memory_gives_the_same_bits(architecture, dtype, n):
    layers, shape, loss = architecture
    network = Network(layers, shape, dtype=dtype)
    x, t = data(n, shape, dtype)
    kept = x.copy()
    weights = np.linspace(0.5, 2, n).astype(dtype)
    shared = Workspace(network, 5, seed=3)
    apart = Workspace(network, 5, seed=3, keep_all=True)
    assert sum(memory.size for memory in shared.memory) <= sum(memory.size for memory in apart.memory)
    o, grad = step(network, apart, x, t, loss, weights)
    assert np.isfinite(o).all()
    assert np.isfinite(grad).all()
    for _ in range(2):
        o2, grad2 = step(network, shared, x, t, loss, weights)
        assert o2.tobytes() == o.tobytes()
        assert grad2.tobytes() == grad.tobytes()
    assert x.tobytes() == kept.tobytes()
    # what is left of the batch, in the views of a shorter one, just after the whole
    o3, grad3 = step(network, shared, x[:1], t[:1], loss, weights[:1])
    o4, grad4 = step(network, Workspace(network, 1, seed=3, keep_all=True), x[:1], t[:1], loss, weights[:1])
    assert o3.tobytes() == o4.tobytes()
    assert grad3.tobytes() == grad4.tobytes()
    # evaluation
    o5 = network.forward(x, Workspace(network, 5, train=False)).copy()
    o6 = network.forward(x, Workspace(network, 5, train=False, keep_all=True))
    assert o5.tobytes() == o6.tobytes()


# ----- shorter batches, the lowest layer, evaluation


def test_a_shorter_batch_gets_contiguous_views_of_the_same_memory():
    network = classifier(Dense(4), SiLU(), Dropout(0.5), Dense(4), ReLU())
    ws = Workspace(network, 10)
    long, short = ws.at(10), ws.at(7)
    for a, b in zip(long.spaces, short.spaces, strict=True):
        for name, array in vars(b).items():
            if isinstance(array, np.ndarray) and name != "x":
                assert array.flags.c_contiguous
                assert pointer(array) == pointer(vars(a)[name])
    assert short.dy.shape == (7, 3)
    assert pointer(short.dy) == pointer(long.dy)
    assert ws.at(7) is short
    with pytest.raises(ConfigError, match="11 samples does not fit a workspace made for 10"):
        ws.at(11)


@pytest.mark.parametrize("size", [0, -1])
def test_a_workspace_for_nothing_is_refused(size):
    with pytest.raises(ConfigError, match="batch size of at least 1"):
        Workspace(classifier(), size)


def test_nothing_at_or_below_the_lowest_parameters_computes_a_gradient_of_x():
    seen = []

    class Watched(Dense):
        def backward(self, p, g, dy, ws):
            dx = super().backward(p, g, dy, ws)
            seen.append(dx)
            return dx

    class Never(ReLU):
        def backward(self, p, g, dy, ws):
            raise AssertionError("nobody needs dL/dx here")

    network = Network([Never(), Dropout(0.2), Never(), Watched(4), Tanh(), Watched(3), Softmax()], 6, dtype="float64")
    ws = Workspace(network, 10)
    assert ws.lowest == 3
    has_dx = ["dx" in vars(space) for space in ws.current.spaces]
    assert has_dx == [False, False, False, False, True, True, True]
    assert [space.needs_dx for space in ws.current.spaces] == has_dx
    step(network, ws, *data())
    assert seen[0] is ws.current.spaces[5].dx
    assert seen[1] is None


def test_a_network_without_parameters_runs():
    network = Network([ReLU(), Softmax()], 3, dtype="float64")
    ws = Workspace(network, 2)
    o, grad = step(network, ws, *data(2, (3,)))
    np.testing.assert_allclose(o.sum(axis=1), 1)
    assert grad.size == 0


def test_an_evaluation_workspace_has_no_room_for_training():
    network = classifier(Dense(4), ReLU(), Dropout(0.5), Dense(4), GELU())
    ws = Workspace(network, 10, train=False)
    for space in ws.current.spaces:
        assert not {"dx", "slope", "mask", "u", "random"} & set(vars(space))
        assert not space.needs_dx
        assert not space.train
    train = Workspace(network, 10)
    assert sum(m.nbytes for m in ws.memory) < sum(m.nbytes for m in train.memory)


def test_evaluation_is_training_without_dropout():
    network = classifier(Dense(4), Tanh(), Dropout(0.5))
    plain = Network([Dense(4), Tanh(), Dense(3), Softmax()], 6, dtype="float64", theta=network.theta)
    x, _ = data()
    expected = plain.forward(x, Workspace(plain, 10)).copy()
    np.testing.assert_array_equal(network.forward(x, Workspace(network, 10, train=False)), expected)
    assert np.abs(network.forward(x, Workspace(network, 10)) - expected).max() > 0.01


def test_training_outputs_average_to_the_evaluation_of_a_linear_network():
    network = Network([Dropout(0.4), Dense(1)], 50, dtype="float64")
    x = np.ones((4000, 50))
    o = network.forward(x, Workspace(network, 4000))
    expected = network.predict(x[:1])[0, 0]
    assert abs(o.mean() - expected) < 5 * o.std() / np.sqrt(4000)
    assert o.std() == pytest.approx(np.sqrt(0.4 / 0.6) * np.linalg.norm(network.params[1].W), rel=0.1)


def test_a_fused_loss_is_the_chain_rule_through_softmax():
    network = classifier(Dense(4), Tanh())
    x, t = data()
    o, fused = step(network, Workspace(network, 10), x, t)
    ws = Workspace(network, 10)
    fill_with_nan(network, ws)
    network.forward(x, ws)
    network.backward(-t / o / 10, ws)  # dL/do of the cross-entropy
    np.testing.assert_allclose(network.grad, fused, atol=1e-14)


# ----- allocation


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("kind", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_training_step_allocates_almost_nothing(kind, n):
    layers = [Dense(100), kind(), Dropout(0.2), Dense(100), kind(), Dense(10), Softmax()]
    network = Network(layers, 784)
    x, t = data(n, (784,), "float32", 10)
    weights = np.ones(n, np.float32)
    ws, optimizer = Workspace(network, n), Adam()
    optimizer.allocate(network.theta.size, network.dtype)

    def train():
        ws.clock.step += 1
        o = network.forward(x, ws)
        network.backward(SoftmaxCrossEntropy().gradient(o, t, weights, out=ws.current.dy), ws, skip_last=True)
        optimizer.step(network.theta, network.grad)

    for _ in range(2):
        train()
    tracemalloc.start()
    try:
        train()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        train()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def test_an_evaluation_pass_allocates_almost_nothing():
    network = Network([Dense(100), GELU(), Dense(10), Softmax()], 784)
    x, _ = data(1000, (784,), "float32")
    ws = Workspace(network, 1000, train=False)
    network.forward(x, ws)
    tracemalloc.start()
    try:
        network.forward(x, ws)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


# ----- blocks, parts, threads


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    "layers", [[Dense(8), Tanh()], [Dropout(0.2), Dense(8), GELU(), Dropout(0.5)]], ids=["", "dropout"]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_with_one_norm_add_up_to_the_batch(loss, layers, weighted):
    loss = loss()
    network = Network([*layers, Dense(3), LAYERS[loss.fused_with or "Identity"]()], 6, dtype="float64")
    x, t = data(11)
    weights = np.random.default_rng(1).uniform(0, 2, 11) if weighted else None
    whole = Workspace(network, 11, seed=9)
    whole.clock.step = 5
    o, grad = step(network, whole, x, t, loss, weights)
    blocks = Workspace(network, 6, seed=9)
    blocks.clock.step = 5
    norm = loss.normalizer(11, weights)
    total = np.zeros_like(grad)
    for block in (slice(0, 6), slice(6, 11)):
        blocks.clock.row = block.start
        w = None if weights is None else weights[block]
        o_block, g = step(network, blocks, x[block], t[block], loss, w, norm)
        np.testing.assert_allclose(o_block, o[block], atol=1e-14)
        total += g
    np.testing.assert_allclose(total, grad, atol=1e-14)
    assert np.abs(grad).max() > 1e-3


def test_the_mask_would_differ_without_the_row():
    network = classifier(Dropout(0.5))
    x, _ = data()
    whole = network.forward(x, Workspace(network, 10)).copy()
    ws = Workspace(network, 5)
    assert np.abs(network.forward(x[5:], ws) - whole[5:]).max() > 0.01
    ws.clock.row = 5
    np.testing.assert_allclose(network.forward(x[5:], ws), whole[5:], rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7, 20, 23, 1000])
def test_predict_in_parts_is_predict_at_once(dtype, batch_size):
    network = classifier(Flatten(), Dense(8), Tanh(), Dropout(0.5), inputs=(2, 3), dtype=dtype)
    x, _ = data(23, (2, 3), dtype)
    at_once = network.forward(x, Workspace(network, 23, train=False))
    parts = network.predict(x, batch_size=batch_size)
    np.testing.assert_allclose(parts, at_once, rtol=1e-5 if dtype == "float32" else 1e-13)
    assert parts.dtype == dtype


def test_predict_takes_any_real_numbers():
    network = classifier(Dense(4), dtype="float32")
    x = np.random.default_rng(0).integers(0, 9, (5, 6))
    expected = network.predict(x.astype(np.float32))
    for variant in (
        x,
        x.astype(np.uint8),
        x.astype(np.float64),
        np.asfortranarray(x),
        x.tolist(),
        np.repeat(x, 2, 1)[:, ::2],
    ):
        np.testing.assert_array_equal(network.predict(variant), expected)


def test_predict_of_nothing_and_of_the_wrong_shape():
    network = classifier(Flatten(), inputs=(2, 3))
    assert network.predict(np.empty((0, 2, 3))).shape == (0, 3)
    for shape in [(4, 6), (2, 3), (4, 3, 2), ()]:
        with pytest.raises(ConfigError, match=r"samples of shape \(2, 3\), so an array of shape \(N, 2, 3\), not"):
            network.predict(np.zeros(shape))
    with pytest.raises(ConfigError, match="batch size of at least 1"):
        network.predict(np.zeros((4, 2, 3)), batch_size=0)


def test_predict_gives_memory_of_its_own():
    network = classifier()
    x, _ = data()
    first = network.predict(x)
    kept = first.copy()
    network.predict(-x)
    np.testing.assert_array_equal(first, kept)


def test_two_threads_evaluate_one_network():
    network = classifier(Dense(64), GELU(), Dense(64), Softplus())
    samples = [data(40, seed=seed)[0] for seed in range(2)]
    expected = [network.predict(x) for x in samples]
    barrier, right = threading.Barrier(2), [0, 0]

    def evaluate(i):
        ws = Workspace(network, 40, train=False)
        barrier.wait()
        for _ in range(100):
            right[i] += network.forward(samples[i], ws).tobytes() == expected[i].tobytes()

    threads = [threading.Thread(target=evaluate, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [100, 100]


def test_two_workspaces_of_one_network_share_nothing():
    network = classifier(Dense(4), ReLU(), Dropout(0.5))
    a, b = Workspace(network, 5), Workspace(network, 5)
    assert not any(np.shares_memory(m, n) for m in a.memory for n in b.memory)


# ----- where a number went wrong


def diagnosed(network, x, t, spoil=lambda network: None, loss=None):
    ws = Workspace(network, len(x), keep_all=True)
    with np.errstate(all="ignore"):
        step(network, ws, x, t, loss)
    spoil(network)
    return first_bad_number(network, ws)


def test_a_sound_step_has_no_bad_number():
    x, t = data()
    for layers in ([], [ReLU()], [Dense(4), GELU(), Dropout(0.5)]):
        assert diagnosed(classifier(*layers), x, t) is None
    assert diagnosed(Network([Dense(3), Tanh()], 6, dtype="float64"), x, t, loss=MeanSquaredError()) is None


def test_the_first_bad_number_is_named():
    x, t = data()
    network = classifier(Dense(4), Tanh())
    broken = x.copy()
    broken[3, 2] = np.nan
    assert diagnosed(network, broken, t) == "NaN in the input"
    broken[3, 2] = np.inf
    assert diagnosed(network, broken, t) == "infinity in the input"
    network.params[2].W[0, 0] = np.inf
    assert diagnosed(network, x, t) == "infinity in the output of dense_2"
    network.initialize(0)
    assert diagnosed(network, x, np.where(t > 0, np.nan, t)) == "NaN in the gradient of the loss"

    def spoil(network):
        network.grads[0].b[1] = np.inf

    assert diagnosed(network, x, t, spoil) == "infinity in the gradient of dense_1.b"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_finite(dtype):
    vector = np.full(1000, np.finfo(dtype).max / 2, dtype)  # whose squares are not finite
    assert all_finite(vector)
    assert all_finite(np.zeros(0, dtype))
    for bad in (np.nan, np.inf, -np.inf):
        for place in (0, 500, 999):
            spoilt = vector.copy()
            spoilt[place] = bad
            assert not all_finite(spoilt)
            spoilt = np.zeros(1000, dtype)
            spoilt[place] = bad
            assert not all_finite(spoilt)


def test_a_layer_is_asked_for_its_buffers_by_length_and_mode():
    seen = set()

    class Watching(Layer):
        def buffers(self, in_shape, n, train):
            seen.add((in_shape, n, train))
            return {}

    network = Network([Watching(), Dense(2)], 3)
    Workspace(network, 4).at(3)
    Workspace(network, 5, train=False)
    assert seen == {((3,), 4, True), ((3,), 3, True), ((3,), 5, False)}
