"""Model files: safetensors with the architecture as JSON in the metadata.

The tensors are the network's arrays by name (``dense_1.W``). The metadata entry ``glassnet`` is a JSON object::

    {"format": 1, "input_shape": [28, 28], "dtype": "float32",
     "layers": [{"type": "Dense", "units": 100, "weights": {"type": "HeNormal"}, "bias": {"type": "Zeros"}}, ...],
     "loss": {"type": "SoftmaxCrossEntropy", "reduction": "mean", "label_smoothing": 0.0},
     "preprocessing": {"scale": 0.0039, "invert": false, "mean": 0.0}, "class_names": ["0", ...],
     "task": "classification"}

A file may lack the task and the arguments that have defaults, such as a loss's label smoothing: older ones do. Reading
executes nothing: names are looked up in fixed tables, and every value is checked by the class it goes to.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from glassnet.data import Preprocessing
from glassnet.data.files import one_sentence
from glassnet.errors import ConfigError, GlassnetError, MissingFileError, ModelFileError
from glassnet.files import whole_file
from glassnet.initializers import INITIALIZERS
from glassnet.layers import LAYERS
from glassnet.losses import LOSSES
from glassnet.model import Model
from glassnet.network import Network

FORMAT = 1
MAX_PARAMETERS = 2**30
"""A network of more parameters is refused before anything is allocated, and so is one of more than its file holds."""

MOST_HEADER = 2**22
"""Bytes that the architecture and the list of arrays may take; they are looked at before the arrays are."""

MOST_LAYERS = 1000
"""A network of more layers is refused."""

MOST_MEANS = 2**18
"""Numbers of the preprocessing: a colour picture of 224 x 224 pixels has 150,528."""

_ENTRIES = {"format", "input_shape", "dtype", "layers", "loss", "preprocessing", "class_names"}
_KINDS: dict[str, type[Any]] = LAYERS | {kind.__name__: kind for kind in (*INITIALIZERS.values(), *LOSSES.values())}


def describe(spec: Any) -> dict[str, Any]:
    """Return a frozen spec (layer, initializer, loss) as plain values with its class name under "type".

    Examples
    --------
    >>> from glassnet.layers import Dense
    >>> describe(Dense(3))
    {'type': 'Dense', 'units': 3, 'weights': {'type': 'GlorotUniform'}, 'bias': {'type': 'Zeros'}}
    """
    if _KINDS.get(type(spec).__name__) is not type(spec):
        raise ConfigError(f"{spec!r:.80} is of a kind of your own, which a model file can not hold.")
    values = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    return {"type": type(spec).__name__} | {
        name: describe(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()
    }


def build(description: Any) -> Any:
    """Return the spec that `describe` described.

    Raises
    ------
    ModelFileError
        If the class is unknown, or an argument is missing, unknown or refused by the class.

    Examples
    --------
    >>> build({"type": "Dropout", "rate": 0.25})
    Dropout(rate=0.25)
    """
    if not isinstance(description, dict) or not isinstance(description.get("type"), str):
        raise ModelFileError(f"{description!r:.80} describes no part of a network: a type is missing.")
    values = {name: build(v) if isinstance(v, dict) else v for name, v in description.items() if name != "type"}
    kind = _KINDS.get(description["type"])
    if kind is None:
        raise ModelFileError(f"there is no part of a network called {description['type']!r:.80}.")
    known = {field.name: field.type for field in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise ModelFileError(f"{kind.__name__} has no argument {name!r:.80}.")
        if (known[name] == "Initializer") != (type(value) in INITIALIZERS.values()):
            raise ModelFileError(f"{value!r:.80} can not be the {name} of {kind.__name__}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise ModelFileError(f"{kind.__name__}: {error}") from None
    except GlassnetError as error:
        raise ModelFileError(str(error)) from None


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    model : what to save
    path : such as ``model.safetensors``; what was there is replaced

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    ConfigError
        If a layer is none of glassnet's own, or there are more of them or of their settings than a file can hold.
    OSError
        If the system does not let it be written.

    Examples
    --------
    >>> import tempfile
    >>> from glassnet.layers import Dense, Softmax
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> network = Network([Dense(2), Softmax()], 3)
    >>> path = Path(tempfile.mkdtemp(), "model.safetensors")
    >>> save_model(Model(network, Preprocessing(), ("cat", "dog"), SoftmaxCrossEntropy()), path)
    >>> load_model(path).class_names
    ('cat', 'dog')
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise MissingFileError(f"{path}: the folder {path.parent} does not exist; make it first.")
    content = model_bytes(model)  # safetensors' own save_file lets only the owner read
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def model_bytes(model: Model) -> bytes:
    """Return what a model file holds.

    Raises
    ------
    ConfigError
        If a layer is none of glassnet's own, or there are more of them or of their settings than a file can hold.
    """
    network = model.network
    if len(network.layers) > MOST_LAYERS:
        raise ConfigError(f"a model file can hold {MOST_LAYERS} layers, and there are {len(network.layers)}.")
    means = model.preprocessing.mean
    if isinstance(means, tuple) and len(means) > MOST_MEANS:
        raise ConfigError(f"a model file can hold {MOST_MEANS} means of the preprocessing, and there are {len(means)}.")
    metadata = {
        "format": FORMAT,
        "input_shape": list(network.input_shape),
        "dtype": network.dtype.name,
        "layers": [describe(layer) for layer in network.layers],
        "loss": describe(model.loss),
        "preprocessing": dataclasses.asdict(model.preprocessing),
        "class_names": None if model.class_names is None else list(model.class_names),
        "task": model.task,
    }
    content = save(_tensors(network), {"glassnet": json.dumps(metadata)})
    if int.from_bytes(content[:8], "little") > MOST_HEADER:
        raise ConfigError(f"the architecture takes more than {MOST_HEADER} bytes, the most that a model file can hold.")
    return content


def _tensors(network: Network) -> dict[str, Any]:
    return {
        f"{name}.{which}": array
        for name, views in zip(network.names, network.params, strict=True)
        for which, array in vars(views).items()
    }


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file, checking everything before it is used. For an example see `save_model`.

    Parameters
    ----------
    path : such as ``model.safetensors``

    Returns
    -------
    Model
        Ready to predict from raw data.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If it is damaged, was not written by glassnet, or contradicts itself.
    """
    path = Path(path)
    if path.is_dir():
        raise MissingFileError(f"{path} is a folder: name the model file inside it.")
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such model file.")
    try:
        _check_header(path)
        with safe_open(path, framework="numpy") as file:
            model = _model((file.metadata() or {}).get("glassnet"), path.stat().st_size)
            _fill(model.network, file)
    except (SafetensorError, _HeaderError) as error:
        why = one_sentence(str(error)).rstrip(".")
        raise ModelFileError(f"{path} is no safetensors file, or is damaged ({why}).") from None
    except RecursionError:
        raise ModelFileError(f"{path}: its architecture is nested too deeply.") from None
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {one_sentence(str(error))}") from None
    return model


class _HeaderError(Exception):
    """What stands before the arrays is not what it should be."""


def _check_header(path: Path) -> None:
    """Refuse a header that is too long or names an array twice, which safetensors takes for one."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER:
            raise _HeaderError(f"its header has {length} bytes, and {MOST_HEADER} are the most that is read")
        header = file.read(length)
    try:
        json.loads(header.decode("utf-8"), object_pairs_hook=_all_different)
    except (ValueError, RecursionError) as error:
        raise _HeaderError(f"its header is not JSON: {error}") from None


def _all_different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON, in which no name stands twice: programs differ in which of the two they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, _ in pairs:
            if found.pop(name, pairs) is pairs:
                raise ValueError(f"{name!r:.80} stands there twice")
    return found


def _model(text: str | None, size: int) -> Model:
    if text is None:
        raise ModelFileError("its metadata has no glassnet entry, so another program wrote it.")
    try:
        metadata = json.loads(text, object_pairs_hook=_all_different)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its architecture is not JSON ({error}).") from None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        found = metadata.get("format") if isinstance(metadata, dict) else None
        raise ModelFileError(f"it is of format {found!r:.80}, and this version of glassnet reads format {FORMAT}.")
    if set(metadata) - {"task"} != _ENTRIES:
        odd = ", ".join(sorted((set(metadata) - {"task"}) ^ _ENTRIES))
        raise ModelFileError(f"its metadata have entries missing or too many: {odd:.80}.")
    shape, names, dtype = metadata.get("input_shape"), metadata.get("class_names"), metadata.get("dtype")
    if not isinstance(shape, list) or not _whole_numbers(shape):
        raise ModelFileError(f"its input shape {shape!r:.80} is no list of whole numbers.")
    if names is not None and not (isinstance(names, list) and all(map(_is_text, names))):
        raise ModelFileError("its class names are no list of texts.")
    if dtype not in ("float32", "float64"):
        raise ModelFileError(f"its data type {dtype!r:.80} is neither float32 nor float64.")
    layers = metadata.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ModelFileError("its layers are missing.")
    if len(layers) > MOST_LAYERS:
        raise ModelFileError(f"it has {len(layers)} layers, and {MOST_LAYERS} are the most that is read.")
    specs, loss = [build(layer) for layer in layers], build(metadata.get("loss"))
    if not all(type(spec) in LAYERS.values() for spec in specs) or type(loss) not in LOSSES.values():
        raise ModelFileError("its layers or its loss are of the wrong kind.")
    try:
        count = _bound(specs, tuple(shape), size // np.dtype(dtype).itemsize)
        network = Network(specs, shape, dtype=dtype, theta=np.zeros(count, dtype))  # zeros take no memory until written
        loss.check_output(type(specs[-1]).__name__)
        preprocessing = Preprocessing(**_mapping(metadata.get("preprocessing")))
        preprocessing.check_features(network.input_shape)
        task = metadata.get("task")
        model = Model(network, preprocessing, None if names is None else tuple(names), loss, task)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"its parts do not fit together: {error}") from None
    outputs = network.output_shape[-1]
    if names is not None and len(names) != (2 if outputs == 1 and model.task == "classification" else outputs):
        raise ModelFileError(f"it has {len(names)} class names for {outputs} outputs.")
    return model


def _whole_numbers(values: list[Any]) -> bool:
    sides = (isinstance(side, int) and not isinstance(side, bool) and 0 < side < 2**31 for side in values)
    return 0 < len(values) < 32 and all(sides)


def _is_text(value: Any) -> bool:
    """Return whether a value is a text that every program can show: JSON can hold halves of letters, too."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFileError("its preprocessing is missing.")
    if isinstance(value.get("mean"), list) and len(value["mean"]) > MOST_MEANS:
        raise ModelFileError(f"its preprocessing has more than {MOST_MEANS} means, the most that is read.")
    return value


def _bound(specs: list[Any], shape: tuple[int, ...], held: int) -> int:
    """Return the number of trained parameters, if there are not too many, nor more than the file holds."""
    trained = saved = 0
    for spec in specs:
        trained += sum(param.size for param in spec.params(shape).values())
        saved += sum(param.size for param in spec.state(shape).values())
        shape = spec.output_shape(shape)
    if trained + saved > MAX_PARAMETERS:
        raise ModelFileError(f"it wants more than {MAX_PARAMETERS} parameters, the most that is read.")
    if trained + saved > held:
        raise ModelFileError(f"it wants {trained + saved} parameters, and its arrays have at most {held} numbers.")
    return trained


def _fill(network: Network, file: Any) -> None:
    wanted: Mapping[str, Any] = _tensors(network)
    if set(file.keys()) != set(wanted):
        odd = sorted(set(file.keys()) ^ set(wanted))
        raise ModelFileError(f"its arrays do not fit its architecture: {', '.join(odd)[:200]}.")
    for name, array in wanted.items():
        stored = file.get_slice(name)
        if tuple(stored.get_shape()) != array.shape:
            raise ModelFileError(f"{name} has shape {tuple(stored.get_shape())}, not {array.shape}.")
        values = file.get_tensor(name)
        if values.dtype != array.dtype:
            raise ModelFileError(f"{name} is {values.dtype}, not {array.dtype}.")
        if not np.isfinite(values).all():
            raise ModelFileError(f"{name} holds a NaN or an infinity.")
        array[...] = values
