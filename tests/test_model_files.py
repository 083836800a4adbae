"""Model files: what is saved comes back in the same bits, and nothing else is taken for a model."""

from __future__ import annotations

import ast
import contextlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import blobs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import glassnet
from glassnet import (
    ELU,
    Adam,
    Dense,
    Dropout,
    FanOutNormal,
    Flatten,
    HeNormal,
    Identity,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    Model,
    Network,
    Normal,
    Preprocessing,
    ReLU,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    fit,
    from_arrays,
    load_model,
    save_model,
)
from glassnet.errors import ConfigError, MissingFileError, ModelFileError
from glassnet.initializers import INITIALIZERS, Initializer
from glassnet.layers import ACTIVATIONS, LAYERS
from glassnet.losses import LOSSES, Loss
from glassnet.model_files import build, describe

SOURCES = Path(glassnet.__file__).parent


def model_of(*layers: Layer, shape: Any = 3, loss: Loss | None = None, dtype: str = "float32") -> Model:
    network = Network(layers, shape, seed=5, dtype=dtype)
    return Model(network, Preprocessing(), None, loss or MeanSquaredError())


def a_model() -> Model:
    """A classifier of small pictures with something to say in every field."""
    layers = [Flatten(), Dense(4, HeNormal(), Normal(0.5)), LeakyReLU(0.2), Dropout(0.25), Dense(3), Softmax()]
    preprocessing = Preprocessing(1 / 255, invert=True, mean=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    return Model(Network(layers, (2, 3), seed=1), preprocessing, ("no", "maybe", "ja ✓"), SoftmaxCrossEntropy("sum"))


def bits(model: Model) -> tuple[bytes, bytes]:
    return model.network.theta.tobytes(), model.network.state.tobytes()


def round_trip(model: Model, folder: Path) -> Model:
    save_model(model, folder / "m.safetensors")
    return load_model(folder / "m.safetensors")


def assert_same(a: Model, b: Model) -> None:
    assert bits(a) == bits(b)
    assert a.network.layers == b.network.layers
    assert a.network.input_shape == b.network.input_shape
    assert a.network.dtype == b.network.dtype
    assert (a.loss, a.preprocessing, a.class_names) == (b.loss, b.preprocessing, b.class_names)
    assert a.task == b.task


# ------------------------------------------------------------------------------------------ there and back


def test_everything_comes_back(tmp_path: Path) -> None:
    model = a_model()
    again = round_trip(model, tmp_path)
    assert_same(model, again)
    raw = np.random.default_rng(0).integers(0, 256, (7, 2, 3)).astype(np.uint8)
    np.testing.assert_array_equal(again.predict_proba(raw), model.predict_proba(raw))


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_comes_back(name: str, tmp_path: Path) -> None:
    layer = LAYERS[name](3) if name == "Dense" else LAYERS[name]()
    model = model_of(layer, Dense(2))
    assert_same(model, round_trip(model, tmp_path))


@pytest.mark.parametrize("layer", [Dense(7, FanOutNormal(), FanOutNormal()), Dropout(0.0), LeakyReLU(0.3), ELU(2.5)])
def test_arguments_come_back(layer: Layer, tmp_path: Path) -> None:
    model = model_of(layer, Dense(2))
    assert round_trip(model, tmp_path).network.layers == (layer, Dense(2))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_comes_back(name: str, tmp_path: Path) -> None:
    initializer: Initializer = INITIALIZERS[name]()
    model = model_of(Dense(2, initializer, initializer))
    again = round_trip(model, tmp_path)
    assert_same(model, again)
    again.network.initialize(5)  # drawn anew by the same rule
    assert bits(again) == bits(model)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_comes_back(name: str, reduction: Any, tmp_path: Path) -> None:
    loss = LOSSES[name](reduction)
    output = {"Softmax": Softmax(), "Sigmoid": Sigmoid(), None: Identity()}[loss.fused_with]
    assert round_trip(model_of(Dense(2), output, loss=loss), tmp_path).loss == loss


@pytest.mark.parametrize(
    ("output", "loss"),
    [(Softmax(), SoftmaxCrossEntropy("sum", 0.1)), (Sigmoid(), SigmoidCrossEntropy(label_smoothing=0.25))],
)
def test_label_smoothing_comes_back(output: Layer, loss: Loss, tmp_path: Path) -> None:
    assert round_trip(model_of(Dense(2), output, loss=loss), tmp_path).loss == loss


@pytest.mark.parametrize(
    ("outputs", "names", "output", "loss", "task"),
    [
        (3, ("sun", "sea", "tree"), Sigmoid(), SigmoidCrossEntropy(), "multi-label"),
        (3, None, Sigmoid(), SigmoidCrossEntropy(), "multi-label"),
        (1, ("sun",), Sigmoid(), SigmoidCrossEntropy(), "multi-label"),
        (3, ("sun", "sea", "tree"), Sigmoid(), SigmoidCrossEntropy(), "classification"),
        (1, ("price",), Identity(), MeanSquaredError(), "regression"),
        (2, None, Identity(), MeanSquaredError(), "regression"),
        (2, None, Softmax(), SoftmaxCrossEntropy(), "classification"),
    ],
)
def test_the_task_comes_back(
    outputs: int, names: tuple[str, ...] | None, output: Layer, loss: Loss, task: Any, tmp_path: Path
) -> None:
    model = Model(Network([Dense(outputs), output], 3, seed=2), Preprocessing(), names, loss, task)
    again = round_trip(model, tmp_path)
    assert_same(model, again)
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(("names", "task"), [(["a", "b", "c"], "classification"), (None, "regression")])
def test_a_file_from_before_tasks_and_label_smoothing_is_read(
    tmp_path: Path, names: list[str] | None, task: str
) -> None:
    layers = [{"type": "Dense", "units": 3}, {"type": "Sigmoid"}]
    metadata = {
        "format": 1, "input_shape": [2], "dtype": "float64", "layers": layers,
        "loss": {"type": "SigmoidCrossEntropy", "reduction": "mean"},
        "preprocessing": {"scale": 1.0, "invert": False, "mean": 0.0}, "class_names": names,
    }  # fmt: skip
    tensors = {"dense_1.W": np.ones((2, 3)), "dense_1.b": np.zeros(3)}
    model = load_model(write(tmp_path / "m.safetensors", metadata, tensors))
    assert model.loss == SigmoidCrossEntropy("mean", 0.0)
    assert (model.task, model.class_names) == (task, None if names is None else ("a", "b", "c"))


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(), Preprocessing(1 / 255), Preprocessing(0.1, True, -3.5), Preprocessing(mean=(1 / 3, 2.0, -1e-9))],
)
def test_every_preprocessing_comes_back(preprocessing: Preprocessing, tmp_path: Path) -> None:
    model = Model(Network([Dense(1)], 3), preprocessing, None, MeanSquaredError())
    assert round_trip(model, tmp_path).preprocessing == preprocessing


def test_double_precision_and_one_output_with_two_names_come_back(tmp_path: Path) -> None:
    network = Network([Dense(1), Sigmoid()], 3, dtype="float64")
    model = Model(network, Preprocessing(), ("no", "yes"), SigmoidCrossEntropy())
    assert_same(model, round_trip(model, tmp_path))


def test_a_network_without_parameters_comes_back(tmp_path: Path) -> None:
    assert_same(model_of(Tanh()), round_trip(model_of(Tanh()), tmp_path))


def test_a_trained_model_reads_raw_pictures_right_after_loading(tmp_path: Path) -> None:
    x, t = blobs(300)
    raw = np.clip(128 + 30 * x, 0, 255).astype(np.uint8)
    data = from_arrays(raw[:200], t[:200], test=(raw[200:], t[200:]), class_names=["left", "right", "top"])
    model = fit(Network([Dense(8), ReLU(), Dense(3), Softmax()], 2), data, Adam(0.05), epochs=10, batch_size=10).model
    again = round_trip(model, tmp_path)
    assert again.evaluate(data.test) == model.evaluate(data.test)
    assert (again.predict(raw[200:]) == t[200:]).mean() > 0.95
    assert again.class_names == ("left", "right", "top")


def test_a_loaded_model_trains_on(tmp_path: Path) -> None:
    data = from_arrays(*blobs(50))
    model = fit(Network([Dense(3), Softmax()], 2), data, epochs=1).model
    again = round_trip(model, tmp_path)
    fit(model.network, data, epochs=2)
    fit(again.network, data, epochs=2)
    assert bits(model) == bits(again)


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(a_model(), path)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    assert json.loads(header.pop("__metadata__")["glassnet"]) == {
        "format": 1,
        "input_shape": [2, 3],
        "dtype": "float32",
        "layers": [
            {"type": "Flatten"},
            {"type": "Dense", "units": 4, "weights": {"type": "HeNormal"},
             "bias": {"type": "Normal", "deviation": 0.5}},
            {"type": "LeakyReLU", "alpha": 0.2},
            {"type": "Dropout", "rate": 0.25},
            {"type": "Dense", "units": 3, "weights": {"type": "GlorotUniform"}, "bias": {"type": "Zeros"}},
            {"type": "Softmax"},
        ],
        "loss": {"type": "SoftmaxCrossEntropy", "reduction": "sum", "label_smoothing": 0.0},
        "preprocessing": {"scale": 1 / 255, "invert": True, "mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
        "class_names": ["no", "maybe", "ja ✓"],
        "task": "classification",
    }  # fmt: skip
    assert {name: (tensor["dtype"], tensor["shape"]) for name, tensor in header.items()} == {
        "dense_1.W": ("F32", [6, 4]),
        "dense_1.b": ("F32", [4]),
        "dense_2.W": ("F32", [4, 3]),
        "dense_2.b": ("F32", [3]),
    }
    np.testing.assert_array_equal(load_file(path)["dense_2.W"], a_model().network.params[4].W)


# ------------------------------------------------------------------------------------------ writing


def test_what_was_there_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_text("old")
    save_model(a_model(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
    assert bits(load_model(str(path))) == bits(a_model())


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(a_model(), path)
    before = path.read_bytes()

    whole = Path.write_bytes

    def broken(self: Path, content: bytes) -> None:
        whole(self, content[:50])
        raise error

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(type(error)):
        save_model(model_of(Dense(9)), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_refusal_by_the_system_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(OSError, match=r"m\.safetensors"):
        save_model(a_model(), tmp_path / "m.safetensors")


def test_a_model_can_be_read_by_whom_other_files_can(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_model(a_model(), tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"the folder .* does not exist"):
        save_model(a_model(), tmp_path / "nowhere" / "m.safetensors")


def test_a_layer_that_no_file_can_hold_is_refused_before_writing(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Mine(Layer):
        """Passes everything through."""

    @dataclass(frozen=True)
    class ReLU(Layer):
        """Has the name of another."""

    for layer in (Mine(), ReLU()):
        with pytest.raises(ConfigError, match="of a kind of your own"):
            save_model(model_of(Dense(2), layer), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------ damaged files


def metadata_of(model: Model) -> dict[str, Any]:
    return {
        "format": 1,
        "input_shape": list(model.network.input_shape),
        "dtype": model.network.dtype.name,
        "layers": [describe(layer) for layer in model.network.layers],
        "loss": describe(model.loss),
        "preprocessing": {"scale": 1.0, "invert": False, "mean": 0.0},
        "class_names": ["a", "b", "c"],
        "task": model.task,
    }


def tensors_of(model: Model) -> dict[str, NDArray[Any]]:
    return {
        f"{name}.{which}": array.copy()
        for name, views in zip(model.network.names, model.network.params, strict=True)
        for which, array in vars(views).items()
    }


def write(path: Path, metadata: Any, tensors: dict[str, NDArray[Any]] | None = None) -> Path:
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    save_file(tensors_of(a_model()) if tensors is None else tensors, path, {"glassnet": text})
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 400 + len(str(path))
    return sentence


def test_the_parts_of_these_tests_make_a_good_file(tmp_path: Path) -> None:
    assert bits(load_model(write(tmp_path / "m", metadata_of(a_model())))) == bits(a_model())


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 7, b"\0" * 100, b"\x80\x04" + b"p" * 200, b"\xff" * 64,
                                     b"<!DOCTYPE html><html></html>", b'{"format": 1}' * 9])  # fmt: skip
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert "is no safetensors file, or is damaged" in refusal(path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(a_model(), path)
    whole = path.read_bytes()
    for length in [*range(32), *range(32, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refusal(path)
    path.write_bytes(whole + b"\0")
    refusal(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file(tensors_of(a_model()), path, metadata)
        assert "no glassnet entry, so another program wrote it" in refusal(path)


def test_a_missing_file_or_a_folder_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no such model file"):
        load_model(tmp_path / "nothing")
    with pytest.raises(MissingFileError, match="is a folder: name the model file inside it"):
        load_model(tmp_path)


def changed(*keys: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    """Set one entry of the metadata, found by its keys; `...` takes it away."""

    def change(metadata: Any) -> None:
        for key in keys[:-1]:
            metadata = metadata[key]
        if to is ...:
            del metadata[keys[-1]]
        else:
            metadata[keys[-1]] = to

    return change


DENSE = {"type": "Dense", "units": 3}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("format", to=2), "it is of format 2, and this version of glassnet reads format 1"),
        (changed("format", to=...), "it is of format None"),
        (changed("layers", 0, "type", to="Conv9D"), "no part of a network called 'Conv9D'"),
        (changed("layers", 0, "type", to=...), "describes no part of a network: a type is missing"),
        (changed("layers", 0, "type", to=7), "a type is missing"),
        (changed("layers", 0, "type", to="__class__"), "no part of a network called '__class__'"),
        (changed("layers", 1, "colour", to="red"), "Dense has no argument 'colour'"),
        (changed("layers", 1, "units", to=...), "Dense: .*units"),
        (changed("layers", 1, "units", to=0), "Dense: units must be a whole number"),
        (changed("layers", 1, "units", to="4"), "Dense: units must be a whole number"),
        (changed("layers", 1, "weights", to=3), "3 can not be the weights of Dense"),
        (changed("layers", 1, "weights", to={"type": "ReLU"}), r"ReLU\(\) can not be the weights of Dense"),
        (changed("layers", 1, "units", to={"type": "Zeros"}), r"Zeros\(\) can not be the units of Dense"),
        (changed("layers", 1, "bias", "deviation", to=-1), "Normal: deviation must be"),
        (changed("layers", 1, "bias", "deviation", to=float("nan")), "Normal: deviation must be"),
        (changed("layers", 3, "rate", to=1.5), "Dropout: rate must be"),
        (changed("layers", 3, "rate", to=[0.5]), "Dropout: rate must be"),
        (changed("layers", to=[]), "its layers are missing"),
        (changed("layers", to={"0": DENSE}), "its layers are missing"),
        (changed("layers", to=...), "entries missing or too many: layers"),
        (changed("layers", 0, to="Flatten"), "'Flatten' describes no part of a network"),
        (changed("layers", 0, to={"type": "MeanSquaredError"}), "its layers or its loss are of the wrong kind"),
        (changed("loss", to={"type": "Softmax"}), "its layers or its loss are of the wrong kind"),
        (changed("loss", to=...), "entries missing or too many: loss"),
        (changed("loss", "reduction", to="max"), "the loss reduction is 'mean' or 'sum'"),
        (changed("loss", to={"type": "MeanSquaredError"}), "do not fit together: mse does not go with Softmax"),
        (changed("layers", 0, to={"type": "Tanh"}), r"do not fit together: Dense needs one row .* \(2, 3\)"),
        (changed("input_shape", to=[3]), r"dense_1.W has shape \(6, 4\), not \(3, 4\)|do not fit together"),
        (changed("loss", "label_smoothing", to=1.0), "label_smoothing must be a finite number at least 0 and below 1"),
        (changed("loss", "label_smoothing", to="0.1"), "label_smoothing must be"),
        (changed("task", to="guessing"), "the task of a model is one of classification, multi-label, regression, not"),
        (changed("task", to=["regression"]), "the task of a model is one of"),
        (changed("task", to="multi-label"), r"the last layer of a multi-label model must be Sigmoid\(\), not Softmax"),
        (changed("author", to="me"), "entries missing or too many: author"),
        (changed("input_shape", to=6), "its input shape 6 is no list of whole numbers"),
        (changed("input_shape", to=[]), "its input shape"),
        (changed("input_shape", to=[2, 0]), "its input shape"),
        (changed("input_shape", to=[2, True]), "its input shape"),
        (changed("input_shape", to=[2, 3.0]), "its input shape"),
        (changed("input_shape", to=[1] * 40), "its input shape"),
        (changed("dtype", to="float16"), "its data type 'float16' is neither float32 nor float64"),
        (changed("dtype", to=["float32"]), "its data type"),
        (changed("dtype", to="float64"), "dense_1.. is float32, not float64"),
        (changed("class_names", to=["a", "b"]), "it has 2 class names for 3 outputs"),
        (changed("class_names", to=["a", "b", 3]), "its class names are no list of texts"),
        (changed("class_names", to="abc"), "its class names are no list of texts"),
        (changed("preprocessing", to=...), "entries missing or too many: preprocessing"),
        (changed("preprocessing", to=[1, 2]), "its preprocessing is missing"),
        (changed("preprocessing", "scale", to="big"), "do not fit together: preprocessing: scale is 'big'"),
        (changed("preprocessing", "scale", to=float("inf")), "do not fit together"),
        (changed("preprocessing", "blur", to=1), "do not fit together: .*blur"),
        (changed("preprocessing", "mean", to=[0.5] * 5), "do not fit together: .*means for 5"),
        # sizes that no memory holds are refused before anything is allocated
        (changed("layers", 1, "units", to=2**40), "more than 1073741824 parameters"),
        (changed("layers", 1, "units", to=10**4299), "more than 1073741824 parameters|do not fit together"),
        (changed("input_shape", to=[2**30, 2**30, 2**30]), "more than 1073741824 parameters"),
        (changed("input_shape", to=[2**31, 1]), "its input shape"),
        (changed("layers", 1, "units", to=10**8), "wants 1000000003 parameters, and its arrays have at most"),
        (changed("layers", to=[{"type": "Flatten"}] * 1001), "it has 1001 layers, and 1000 are the most that is read"),
        (changed("preprocessing", "mean", to=[0] * (2**18 + 1)), "has more than 262144 means"),
        (changed("class_names", 0, to="\ud800"), "its class names are no list of texts"),
    ],
)  # fmt: skip
def test_metadata_that_make_no_sense_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    metadata = metadata_of(a_model())
    change(metadata)
    with pytest.raises(ModelFileError, match=sentence):
        load_model(write(tmp_path / "m.safetensors", metadata))
    refusal(tmp_path / "m.safetensors")


@pytest.mark.parametrize("text", ["", "{", "nope", "[1, 2", "\x00", '{"format": 1', "9" * 5000])
def test_metadata_that_are_not_json_are_refused(tmp_path: Path, text: str) -> None:
    assert "its architecture is not JSON" in refusal(write(tmp_path / "m", text))


def with_header(path: Path, header: bytes, content: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + content)
    return path


def test_a_header_that_is_too_long_or_says_something_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    text = json.dumps(metadata_of(a_model()))
    for twice in (text.replace('"task"', '"dtype": "float32", "task"'), text.replace('"rate"', '"rate": 0.5, "rate"')):
        assert "stands there twice" in refusal(write(path, twice))
    array = b'"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    assert "'b' stands there twice" in refusal(with_header(path, b"{" + array + b", " + array + b"}", bytes(4)))
    overlapping = array.replace(b'"b"', b'"a"') + b", " + array
    assert "is no safetensors file, or is damaged" in refusal(with_header(path, b"{" + overlapping + b"}", bytes(4)))
    assert "4194304 are the most that is read" in refusal(with_header(path, b"{}" + b" " * 2**22))
    assert "is not JSON" in refusal(with_header(path, b'{"\xff": 1}'))
    assert "is not JSON" in refusal(with_header(path, b'{"a":' * 10**5))


def test_what_no_file_would_be_read_with_is_not_saved(tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=tuple(range(2**18 + 1)))
    for model, sentence in (
        (model_of(*[Tanh()] * 1001), "a model file can hold 1000 layers, and there are 1001"),
        (Model(Network([Tanh()], 2**18 + 1), preprocessing, None, MeanSquaredError()), "can hold 262144 means"),
        (Model(Network([Dense(2)], 3), Preprocessing(), ("a" * 2**22, "b"), MeanSquaredError(), "classification"),
         "takes more than 4194304 bytes"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            save_model(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["null", "1", '"glassnet"', "[1]", "true", "{}"])
def test_metadata_that_are_no_object_are_refused(tmp_path: Path, text: str) -> None:
    assert "it is of format None" in refusal(write(tmp_path / "m", text))


@pytest.mark.parametrize("depth", [100, 300, 500, 900, 5000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a": ', '{"type": "Dense", "units": ', '{"type": [['])
def test_deeply_nested_metadata_are_refused(tmp_path: Path, depth: int, opening: str) -> None:
    closing = "".join({"[": "]", "{": "}"}[c] for c in reversed(opening) if c in "[{")
    deep = opening * depth + "1" + closing * depth
    metadata = json.dumps(metadata_of(a_model()))
    refusal(write(tmp_path / "m", metadata.replace('{"type": "Flatten"}', deep)))
    refusal(write(tmp_path / "m", metadata.replace('"scale": 1.0', f'"scale": {deep}')))
    refusal(write(tmp_path / "m", metadata.replace("[2, 3]", deep)))
    refusal(write(tmp_path / "m", deep))


def without(name: str) -> dict[str, NDArray[Any]]:
    return {key: array for key, array in tensors_of(a_model()).items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (without("dense_1.b"), "its arrays do not fit its architecture: dense_1.b"),
        (without("") | {"dense_9.W": np.ones(2)}, "its arrays do not fit its architecture: dense_9.W"),
        ({}, "its arrays do not fit its architecture"),
        (without("") | {"dense_1.b": np.ones(5, np.float32)}, r"dense_1.b has shape \(5,\), not \(4,\)"),
        (without("") | {"dense_1.W": np.ones((4, 6), np.float32)}, r"dense_1.W has shape \(4, 6\), not \(6, 4\)"),
        (without("") | {"dense_1.b": np.ones(4)}, "dense_1.b is float64, not float32"),
        (without("") | {"dense_1.b": np.ones(4, np.int32)}, "dense_1.b is int32, not float32"),
        (without("") | {"dense_2.b": np.array([1, np.nan, 0], np.float32)}, "dense_2.b holds a NaN or an infinity"),
        (without("") | {"dense_2.b": np.array([1, 2, -np.inf], np.float32)}, "dense_2.b holds a NaN or an infinity"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, tensors: dict[str, NDArray[Any]], sentence: str) -> None:
    with pytest.raises(ModelFileError, match=sentence):
        load_model(write(tmp_path / "m.safetensors", metadata_of(a_model()), tensors))
    refusal(tmp_path / "m.safetensors")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["Dense", "Softmax", "Zeros", "float32", "mean"]),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(
        st.text(max_size=3) | st.sampled_from(["type", "units", "weights", "bias", "rate", "reduction", "deviation"]),
        children, max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in inner for path in paths(child, (*at, key)))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(paths(metadata_of(a_model()))), value=JSON)
def test_no_json_in_any_place_does_harm(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    metadata = metadata_of(a_model())
    if place:
        changed(*place, to=value)(metadata)
    else:
        metadata = value
    path = write(tmp_path / "m.safetensors", metadata)
    with contextlib.suppress(ModelFileError), np.errstate(all="ignore"):
        assert load_model(path).outputs(np.zeros((1, 2, 3))).shape == (1, 3)


@given(value=JSON)
def test_what_builds_describes_itself_again(value: Any) -> None:
    with contextlib.suppress(ModelFileError):
        spec = build(value)
        assert build(json.loads(json.dumps(describe(spec)))) == spec


@pytest.mark.parametrize("layer", [Dense(3), *(kind() for kind in ACTIVATIONS.values())])
def test_a_description_is_plain_json(layer: Layer) -> None:
    assert build(json.loads(json.dumps(describe(layer)))) == layer


# ------------------------------------------------------------------------------------------ nothing is executed


def test_nothing_is_ever_unpickled_or_evaluated() -> None:
    modules = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "subprocess"}
    calls = {"eval", "exec", "compile", "__import__"}
    found = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.partition(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").partition(".")[0]]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = [node.func.id] if node.func.id in calls else []
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                names = ["pickle"]
            found += [(path.name, name) for name in names if name in modules | calls]
    assert found == []
