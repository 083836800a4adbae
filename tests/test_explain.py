"""A step as a story, as a page, and as programs: the numbers are those of the trace, and add up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Glassnet
from numpy.typing import NDArray
from PIL import Image

from glassnet import (
    Adam,
    AMSGrad,
    ConfigError,
    Dense,
    Dropout,
    Flatten,
    Lion,
    MeanSquaredError,
    Model,
    Momentum,
    Network,
    Optimizer,
    Preprocessing,
    ReLU,
    RMSprop,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    load,
    load_model,
    save_model,
)
from glassnet.cli.runs import SHIPPED
from glassnet.explain import Line, Picture, Story, script, tell, write_page
from glassnet.explain.page import colours
from glassnet.explain.story import TERMS
from glassnet.layers import Layer
from glassnet.losses import Loss
from glassnet.trace import Trace, trace_step

SHAPE = (4, 5)


def traced(
    *layers: Layer,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    seed: int = 1,
    preprocessing: Preprocessing | None = None,
    **more: Any,
) -> Trace:
    rng = np.random.default_rng(seed)
    network = Network([Flatten(), *layers], SHAPE, seed=seed)
    preprocessing = preprocessing or Preprocessing(1 / 255)
    model = Model(network, preprocessing, ("cat", "dog", "eel"), loss or SoftmaxCrossEntropy())
    return trace_step(model, rng.integers(0, 256, (1, *SHAPE)).astype(np.uint8), np.array([2]), optimizer, **more)


def usual(**more: Any) -> Trace:
    return traced(Dense(9), ReLU(), Dense(8), Tanh(), Dense(3), Softmax(), **more)


def value_of(text: str) -> float:
    """Read a number of the story."""
    return float(text.replace("−", "-").replace(",", "").removesuffix(" %"))


def sums(lines: tuple[Line, ...]) -> list[tuple[float, float]]:
    """Return for each sum that is told term by term what the terms add up to, and the result."""
    found, total, terms = [], 0.0, 0
    for line in lines:
        if not line.result:
            total, terms = total + value_of(line.value), terms + 1
        elif terms:
            found.append((total, value_of(line.value)))
            total, terms = 0.0, 0
    return found


DEPTHS = {
    8: [Dense(3), Softmax()],
    11: [Dense(9), ReLU(), Dense(3), Softmax()],
    12: [Dense(9), ReLU(), Dense(8), ReLU(), Dense(7), ReLU(), Dense(3), Softmax()],
}


@pytest.mark.parametrize("parts", DEPTHS)
def test_a_story_has_8_to_12_parts(parts: int) -> None:
    story = tell(traced(*DEPTHS[parts]))
    assert len(story.parts) == parts
    assert story.agrees
    assert all(part.title and part.text.endswith((".", "?")) for part in story.parts)
    assert all(part.equations for part in story.parts)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_any_neuron_can_be_followed(layer: int) -> None:
    trace = usual()
    story = tell(trace, layer=layer, unit=1)
    assert 8 <= len(story.parts) <= 12
    assert story.agrees
    adds = next(part for part in story.parts if part.title == "Neuron 1 adds up")
    ((total, result),) = sums(adds.lines)
    assert result == pytest.approx(
        float(trace[f"z{layer}"].value[0, 1]) if layer < 3 else float(trace["z3"].value[0, 1]), abs=6e-5
    )
    assert total == pytest.approx(result, abs=6e-4)  # eight numbers of four digits


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_no_neuron_of_a_deep_network_takes_more_than_12_parts(layer: int) -> None:
    story = tell(traced(*DEPTHS[12]), layer=layer, unit=0)
    assert 8 <= len(story.parts) <= 12
    assert story.agrees
    texts = " ".join(part.text for part in story.parts)
    assert texts.count("A weight is to blame as far as") == 1
    assert ("The same rule" in texts) == any(part.title == "The last layer's weights" for part in story.parts)


def test_what_is_told_of_the_input_is_what_was_done_to_it() -> None:
    text = tell(usual(preprocessing=Preprocessing(1 / 255, invert=True, mean=0.25))).parts[0].text
    assert "its raw values times 0.003922, taken from 1, less the mean 0.25." in text
    assert "less the mean of each." in tell(usual(preprocessing=Preprocessing(1 / 255, mean=(0.5,) * 20))).parts[0].text
    assert "its raw values times 0.003922. " in tell(usual()).parts[0].text


def test_a_smoothed_loss_is_not_the_logarithm_of_one_share() -> None:
    for smoothing, what in ((0.0, "−log o[2]"), (0.1, "L")):
        trace = usual(loss=SoftmaxCrossEntropy(label_smoothing=smoothing))
        (line,) = next(part.lines for part in tell(trace).parts if part.title == "How wrong is it?")
        assert line.what.partition(" =")[0] == what
        assert value_of(line.value) == pytest.approx(trace.loss, abs=6e-5)


@pytest.mark.parametrize(("bias", "answer"), [(9.0, "dog"), (-9.0, "cat")])
def test_a_single_output_speaks_of_the_second_of_two_classes(bias: float, answer: str) -> None:
    network = Network([Dense(1), Sigmoid()], 2)
    network.params[0].b[:] = bias
    model = Model(network, Preprocessing(), ("cat", "dog"), SigmoidCrossEntropy())
    story = tell(trace_step(model, np.zeros((1, 2)), np.array([0])))
    part = next(part for part in story.parts if part.title == "Scores become an answer")
    assert f"The network's answer is {answer}." in part.text
    assert [bar.name for bar in part.bars] == ["dog"]


def test_the_terms_of_a_sum_are_its_largest_and_the_rest_in_one() -> None:
    trace = usual()
    part = next(part for part in tell(trace, layer=1, unit=4).parts if "adds up" in part.title)
    x, w = trace["x"].value.ravel(), trace["W1"].value[:, 4]
    largest = sorted(x * w, key=abs, reverse=True)
    assert [value_of(line.value) for line in part.lines[:TERMS]] == pytest.approx(largest[:TERMS], abs=6e-5)
    assert f"the other {np.count_nonzero(x) - TERMS} that are not 0" in part.lines[TERMS].what
    assert value_of(part.lines[TERMS].value) == pytest.approx(sum(largest[TERMS:]), abs=6e-5)


def test_the_blame_is_the_chain_rule() -> None:
    trace = usual()
    part = next(part for part in tell(trace, layer=1, unit=3).parts if "to blame for" in part.title)
    passed = float(trace["W2"].value[3] @ trace["dz2"].value[0])
    results = [value_of(line.value) for line in part.lines if line.result]
    assert results == pytest.approx([passed, passed * float(trace["z1"].value[0, 3] > 0)], rel=1e-3, abs=1e-9)
    assert [equation.text for equation in part.equations] == [
        "∂L/∂y₁ = δ₂ W₂ᵀ",
        "f′(z₁) = [y₁ > 0]",
        "δ₁ = ∂L/∂y₁ ⊙ f′(z₁)",
    ]


def test_the_update_shows_the_paper_s_moments_and_the_movement() -> None:
    trace = usual(optimizer=Adam(0.01))
    part = next(part for part in tell(trace, layer=2, unit=5).parts if part.title == "The update")
    numbers = {line.what: value_of(line.value) for line in part.lines}
    g = numbers[next(name for name in numbers if name.startswith("g,"))]
    assert numbers["m, was 0"] == pytest.approx(0.1 * g, rel=2e-3)
    assert numbers["v, was 0"] == pytest.approx(0.001 * g * g, rel=5e-3)
    assert numbers["and moves by"] == pytest.approx(-0.01 * np.sign(g), abs=1e-5)
    assert numbers["lr, the learning rate"] == 0.01


def test_dropout_layers_in_a_row_and_other_losses_are_told() -> None:
    stories = [
        tell(traced(Dense(9), Tanh(), Dropout(0.3), Dense(3), Softmax())),
        tell(traced(Dense(9), Dense(8), Dense(3), Softmax())),
        tell(traced(Dense(9), Sigmoid(), Dense(3), Sigmoid(), loss=SigmoidCrossEntropy())),
        tell(traced(Dense(9), Sigmoid(), Dense(3), Sigmoid(), loss=MeanSquaredError(label_smoothing=0.02))),
        tell(usual(loss=SoftmaxCrossEntropy(label_smoothing=0.1))),
    ]
    assert all(story.agrees for story in stories)
    lines = [line.what for part in stories[0].parts for line in part.lines]
    assert any(", its mask" in line for line in lines)


def test_a_sure_network_is_not_accused_of_wrong_gradients() -> None:
    network = Network([Dense(2), Softmax()], 1)
    network.params[0].W[:] = [[7.2, -7.2]]
    model = Model(network, Preprocessing(), None, SoftmaxCrossEntropy())
    story = tell(trace_step(model, np.ones((1, 1)), np.array([0])))
    assert story.agrees
    assert "as far as numbers of seven digits can tell" in story.parts[-1].text


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: tell(usual(), layer=4), "no layer 4: this network has 3 dense layers"),
        (lambda: tell(usual(), layer=1, unit=9), "layer 1 has no neuron 9: it has 9"),
        (lambda: tell(usual(), layer=1, unit=-1), "no neuron -1"),
    ],
)
def test_a_neuron_that_is_not_there_is_refused(make: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        make()


def test_only_one_sample_and_dense_layers_are_told() -> None:
    model = Model(Network([Dense(2), Softmax()], 3), Preprocessing(), None, SoftmaxCrossEntropy())
    with pytest.raises(ConfigError, match="one sample, and this trace has 2"):
        tell(trace_step(model, np.ones((2, 3)), np.array([0, 1])))
    model = Model(Network([Softmax()], 3), Preprocessing(), None, SoftmaxCrossEntropy())
    with pytest.raises(ConfigError, match="dense layers"):
        tell(trace_step(model, np.ones((1, 3)), np.array([0])))


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_holds_all_parts_and_asks_for_nothing(tmp_path: Path) -> None:
    trace = usual()
    story = tell(trace, pixels=trace.features[0], what="a <picture> of mine", layer=1)
    write_page(story, tmp_path / "step.html")
    text = (tmp_path / "step.html").read_text(encoding="utf-8")
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("section") == len(story.parts)
    assert names.count("math") == sum(len(part.equations) for part in story.parts)
    assert "script" not in names
    assert "link" not in names
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all((image["src"] or "").startswith("data:image/png;base64,") and image["alt"] for image in images)
    addresses = [attributes.get("href") or attributes.get("src") or "" for _, attributes in page.tags]
    assert all(address.startswith(("#", "data:")) for address in addresses if address)
    assert "a &lt;picture&gt; of mine" in text
    assert "<picture>" not in text
    for part in story.parts:
        for source in part.sources:
            assert str(source) in text


def test_weights_are_white_at_0_and_grey_pictures_stay() -> None:
    assert colours(Picture(np.zeros((2, 2)), "", signed=True)).tolist() == np.full((2, 2, 3), 255).tolist()
    grey = np.array([[0, 255]], np.uint8)
    assert colours(Picture(grey, "")).tolist() == grey.tolist()


@pytest.mark.parametrize(
    ("optimizer", "torch", "keras"),
    [
        (Adam(), "torch.optim.Adam(groups, lr=0.001, betas=(0.9, 0.999), eps=1e-08)", "epsilon=3.16227766e-10"),
        (Momentum(form="mean"), "no running mean in its first step", "no running mean"),
        (RMSprop(), "alpha=0.9", "inside the root"),
        (RMSprop(epsilon_in_root=True), "outside the root", "RMSprop(0.001, rho=0.9"),
        (Lion(), "PyTorch has no Lion", "Lion(0.0001"),
        (AMSGrad(bias_correction=False), "corrects its moments", "corrects its moments"),
        (Adam(l2=0.1), "knows no l2", "knows no l2"),
        (Adam(weight_decay=0.1), "knows no weight decay", "knows no weight decay"),
    ],
    ids=repr,
)
def test_programs_spell_the_optimizer_or_say_why_not(optimizer: Optimizer, torch: str, keras: str) -> None:
    for framework, wanted in (("torch", torch), ("keras", keras)):
        assert wanted in program(framework, usual(optimizer=optimizer))


def program(framework: str, trace: Trace) -> str:
    """Return the program, or why there is none."""
    try:
        text = script(framework, trace, "model.safetensors")  # type: ignore[arg-type]
    except ConfigError as error:
        return str(error)
    compile(text, "step.py", "exec")
    return text


class Own(SoftmaxCrossEntropy):
    """A loss that glassnet does not know."""


def test_a_program_is_refused_where_it_could_not_take_the_same_step() -> None:
    trace = usual()
    later = trace_step(trace.after, trace.features, np.array([1]), trace.optimizer)
    with pytest.raises(ConfigError, match="step 2 of its optimizer"):
        script("torch", later, "m")
    with pytest.raises(ConfigError, match="dropout"):
        script("torch", traced(Dense(4), Dropout(0.5), Dense(3), Softmax()), "m")
    for loss, weights in ((SoftmaxCrossEntropy(), np.array([2.0])), (Own(), None)):
        with pytest.raises(ConfigError, match="knows no sample weights, and no loss but those of glassnet"):
            script("keras", usual(loss=loss, weights=weights), "m")


@pytest.mark.usefixtures("in_tmp")
def test_explain_tells_the_step_of_a_test_image(glassnet: Glassnet) -> None:
    status, out, err = glassnet("explain", "--neuron", "2,17", "--optimizer", "momentum")
    assert (status, err) == (0, "")
    assert "by the model that comes with glassnet" in out
    numbered = re.findall(r"^(\d+)\. ", out, flags=re.MULTILINE)
    assert numbered == [str(i) for i in range(1, len(numbered) + 1)]
    assert 8 <= len(numbered) <= 12
    assert "Neuron 17 adds up" in out
    assert "v = μ v − lr g" in out
    assert "layers/basic.py:" in out
    assert out.count("PyTorch: ") >= 8
    assert "It is." in out


@pytest.mark.usefixtures("in_tmp")
def test_explain_reads_a_picture_of_ones_own_and_writes_a_page(glassnet: Glassnet) -> None:
    test = load("mnist").test
    Image.fromarray(255 - test.features[0]).resize((120, 120)).save("mine.png")
    status, out, _ = glassnet("explain", "--image", "mine.png", "--target", "4", "--html", "step.html")
    assert status == 0
    assert "parts in step.html" in out
    page = Path("step.html").read_text(encoding="utf-8")
    assert "It should have said 4." in page
    assert "The network&#39;s answer is 7." in page
    status, _, err = glassnet("explain", "--html", "step.html")
    assert (status, err.count("--force")) == (2, 1)
    assert Path("step.html").read_text(encoding="utf-8") == page
    assert glassnet("explain", "--html", "step.html", "--force")[0] == 0
    assert Path("step.html").read_text(encoding="utf-8") != page


@pytest.mark.usefixtures("in_tmp")
def test_explain_follows_the_newest_run_and_a_named_model(glassnet: Glassnet) -> None:
    network = Network([Flatten(), Dense(5), ReLU(), Dense(10), Softmax()], (28, 28), seed=4)
    digits = tuple("0123456789")
    save_model(Model(network, Preprocessing(1 / 255), digits, SoftmaxCrossEntropy()), "own.safetensors")
    status, out, _ = glassnet("explain", "--model", "own.safetensors", "--digit", "3")
    assert status == 0
    assert "by own.safetensors" in out
    assert "All 3,985 parameters" in " ".join(out.split())


@pytest.mark.usefixtures("in_tmp")
def test_the_image_is_the_least_sure_of_those_that_are_read_right_whatever_is_wanted(glassnet: Glassnet) -> None:
    images = {glassnet("explain", *more)[1].partition(", by")[0] for more in ((), ("--target", "4"))}
    (title,) = images
    test, model = load("mnist").test, load_model(SHIPPED)
    index = int(title.rpartition(" ")[2])
    shares = model.predict_proba(test.features[test.targets == 7])
    assert test.targets[index] == 7
    right = shares[shares.argmax(axis=1) == 7]
    assert model.predict_proba(test.features[[index]])[0, 7] == pytest.approx(right[:, 7].min(), abs=1e-5)


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("digit", [0, 1])
def test_a_network_with_one_output_is_explained_with_an_image_that_it_reads_right(
    glassnet: Glassnet, digit: int
) -> None:
    test = load("mnist").test
    network = Network([Flatten(), Dense(1), Sigmoid()], (28, 28))
    ones, zeros = (test.features[test.targets == one][:500].mean(axis=0).ravel() / 255 for one in (1, 0))
    network.params[1].W[:, 0] = ones - zeros
    model = Model(network, Preprocessing(1 / 255), ("0", "1"), SigmoidCrossEntropy())
    save_model(model, "own.safetensors")
    out = glassnet("explain", "--model", "own.safetensors", "--digit", digit)[1]
    index = int(out.partition(",")[0].rpartition(" ")[2])
    places = np.flatnonzero(test.targets == digit)
    of_one = model.predict_proba(test.features)[:, 0]
    share = of_one if digit else 1 - of_one
    right = places[share[places] > 0.5]
    assert share[index] == pytest.approx(share[right].min(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--digit", "3", "--image", "x.png"), "exclude each other"),
        (("--code", "torch", "--html", "step.html"), "--code prints a program, so --html is of no use"),
        (("--code", "keras", "--neuron", "1,2"), "--code prints a program, so --neuron is of no use"),
        (("--image", "missing.png"), "missing.png"),
        (("--target", "eleven"), "knows no class 'eleven'; it knows 0, 1"),
        (("--neuron", "1"), "no layer and neuron such as 1,20"),
        (("--neuron", "1,100"), "layer 1 has no neuron 100"),
        (("--code", "torch", "--optimizer", "lion"), "PyTorch has no Lion: choose another --optimizer"),
        (("--html", "nowhere/step.html"), "the folder nowhere does not exist"),
        (("--model", "missing.safetensors"), "there is no such model file"),
    ],
)
@pytest.mark.usefixtures("in_tmp")
def test_explain_refuses_in_one_sentence(glassnet: Glassnet, arguments: tuple[str, ...], what: str) -> None:
    status, out, err = glassnet("explain", *arguments)
    assert status in (1, 2)
    assert what in err
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.usefixtures("in_tmp")
def test_explain_on_a_console_that_knows_ascii_alone() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "glassnet", "explain", "--digit", "1", "--optimizer", "nadam"]
    result = subprocess.run(command, env=environment, capture_output=True, check=True)
    out = result.stdout.decode("ascii")
    assert "\\u" not in out
    assert "\\x" not in out
    assert "v = beta2 v + (1 - beta2) g^2" in out


@pytest.mark.usefixtures("in_tmp")
def test_the_program_that_is_printed_names_the_weights(glassnet: Glassnet) -> None:
    status, out, _ = glassnet("explain", "--code", "keras")
    assert status == 0
    compile(out, "step.py", "exec")
    assert repr(str(SHIPPED.resolve())) in out
    assert load_model(SHIPPED).network.layout.size == 89_610


def same_story(one: Story, other: Story) -> bool:
    return [part.lines for part in one.parts] == [part.lines for part in other.parts]


def test_the_same_trace_tells_the_same_story() -> None:
    pixels: NDArray[np.uint8] = np.zeros(SHAPE, np.uint8)
    assert same_story(tell(usual(), pixels=pixels), tell(usual(), pixels=pixels))
