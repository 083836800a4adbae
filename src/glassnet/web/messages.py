"""What a page may ask for: read strictly, with bounds on everything, before anything is made of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.config import ARGUMENTS, FORMS, LEARNING_RATES, SETTINGS, RunConfig
from glassnet.errors import ConfigError
from glassnet.initializers import INITIALIZERS
from glassnet.layers import ACTIVATIONS
from glassnet.optim import OPTIMIZERS

CLASSES, PIXELS = 10, 784
TRAINING_SAMPLES, VALIDATION_SAMPLES, TEST_SAMPLES = 55_000, 5_000, 10_000
LIMITS = {
    "racers": 4,
    "layers": 6,
    "width": 512,
    "batch": TRAINING_SAMPLES,
    "parameters": 1_000_000,
    "rate": 100.0,
    "teach": 50,
    "seed": 2**32 - 1,
    "steps": 100_000_000,
}
EPOCHS = 100_000
"""As good as without end; somebody presses pause."""

DEFAULT: dict[str, Any] = {
    "hidden": [100, 100],
    "activation": "relu",
    "initializer": "auto",
    "optimizer": "adam",
    "learning_rate": None,
    "settings": {},
    "batch_size": 200,
    "seed": 0,
}
"""What a configuration says where it says nothing."""

ACTIONS = ("play", "pause", "step", "epoch", "reset")
HIDDEN_ACTIVATIONS = tuple(name for name in ACTIVATIONS if name != "softmax")


@dataclass(frozen=True)
class Lesson:
    """A sample that was taught: to which racer, after which of its steps, and what it is."""

    racer: int
    step: int
    pixels: bytes
    target: int


def settings_of(optimizer: str) -> dict[str, Any]:
    """Return the settings of an optimizer and their defaults.

    Examples
    --------
    >>> settings_of("momentum")
    {'momentum': 0.9, 'momentum_form': 'classical'}
    """
    described = OPTIMIZERS[optimizer](1.0).describe()
    return {name: described[ARGUMENTS.get(name, name)] for name in SETTINGS[optimizer]}


def facts() -> dict[str, Any]:
    """Return what a page needs to know to offer what there is."""
    return {
        "activations": list(HIDDEN_ACTIVATIONS),
        "initializers": ["auto", *INITIALIZERS],
        "optimizers": {name: _facts_of(name) for name in OPTIMIZERS},
        "limits": LIMITS,
        "default": DEFAULT,
        "classes": [str(digit) for digit in range(CLASSES)],
        "samples": {"train": TRAINING_SAMPLES, "validation": VALIDATION_SAMPLES, "test": TEST_SAMPLES},
    }


def _facts_of(optimizer: str) -> dict[str, Any]:
    """Return an optimizer's own learning rate, its settings, and of those that are words the choices."""
    choices = {"momentum_form": FORMS[optimizer]} if optimizer in FORMS else {}
    return {"rate": LEARNING_RATES[optimizer], "settings": settings_of(optimizer), "choices": choices}


def read_config(values: Any) -> RunConfig:
    """Return the run that a page asks for.

    Raises
    ------
    ConfigError
        With what is wrong and what is possible.

    Examples
    --------
    >>> read_config({"hidden": [30], "optimizer": "sgd"}).hidden
    (30,)
    """
    values = DEFAULT | _mapping(values, "a configuration", DEFAULT)
    hidden = _sequence(values["hidden"], "hidden", LIMITS["layers"])
    widths = tuple(_count(width, "a layer's width", 1, LIMITS["width"]) for width in hidden)
    parameters = sum((inputs + 1) * units for inputs, units in pairwise((PIXELS, *widths, CLASSES)))
    if parameters > LIMITS["parameters"]:
        raise ConfigError(f"{parameters:,} parameters are more than {LIMITS['parameters']:,}: take narrower layers.")
    optimizer = _choice(values["optimizer"], "optimizer", OPTIMIZERS)
    batch = values["batch_size"]
    rate = values["learning_rate"]
    settings = _settings(optimizer, values["settings"])
    return RunConfig(
        hidden=widths,
        activation=_choice(values["activation"], "activation", HIDDEN_ACTIVATIONS),
        initializer=_choice(values["initializer"], "initializer", ("auto", *INITIALIZERS)),
        optimizer=optimizer,
        learning_rate=None if rate is None else _number(rate, "learning_rate", 0.0, LIMITS["rate"]),
        batch_size=batch if batch == "full" else _count(batch, "batch_size", 1, LIMITS["batch"]),
        seed=_count(values["seed"], "seed", 0, LIMITS["seed"]),
        epochs=EPOCHS,
        validate=False,
        schedule="constant",
        workers=1,
        threads=1,
        **settings,
    )


def plain(values: Any) -> dict[str, Any]:
    """Return a configuration with every value spelled out, in the form that a page sends; `read_config` has read it."""
    return DEFAULT | dict(values)


def read_race(values: Any) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the configurations of a race, as a page writes them, and to which step each is to train at once.

    Raises
    ------
    ConfigError
        If there are none or too many, one of them makes no sense, or the steps do not fit.
    """
    values = _mapping(values, "a race", ("configs", "steps"))
    configs = _sequence(values.get("configs"), "configs", LIMITS["racers"])
    if not configs:
        raise ConfigError("a race needs at least one configuration.")
    for config in configs:
        read_config(config)
    steps = values.get("steps")
    if steps is None:
        return [plain(config) for config in configs], [0] * len(configs)
    steps = [_count(step, "a step", 0, LIMITS["steps"]) for step in _sequence(steps, "steps", LIMITS["racers"])]
    if len(steps) != len(configs):
        raise ConfigError(f"there are {len(configs)} configurations, but {len(steps)} steps to train to.")
    return [plain(config) for config in configs], steps


def read_action(values: Any) -> str:
    """Return one of `ACTIONS`."""
    return _choice(_mapping(values, "an action", ("action",)).get("action"), "action", ACTIONS)


def read_racer(values: Any, racers: int, *names: str) -> int:
    """Return the racer that is meant, one of so many; `names` are what else the message may hold."""
    return _count(_mapping(values, "the message", ("racer", *names)).get("racer", 0), "racer", 0, racers - 1)


def read_target(values: Mapping[str, Any]) -> int:
    """Return what a picture shows."""
    return _count(values.get("target"), "target", 0, CLASSES - 1)


def read_pixels(values: Mapping[str, Any]) -> bytes:
    """Return the pixels of a picture, 784 bytes, which come in base64."""
    text = values.get("pixels")
    try:
        pixels = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        pixels = b""
    if len(pixels) != PIXELS:
        raise ConfigError(f"pixels must be {PIXELS} bytes in base64, a picture of 28 x 28 grey levels.")
    return pixels


def picture(pixels: bytes) -> NDArray[np.uint8]:
    """Return the picture (1, 28, 28) of some pixels."""
    return np.frombuffer(pixels, np.uint8).reshape(1, 28, 28)


def encoded(array: NDArray[Any]) -> str:
    """Return the bytes of an array in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _mapping(values: object, what: str, names: Collection[str]) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{what} must be an object with {', '.join(names)}, not {values!r:.80}.")
    odd = [name for name in values if name not in names]
    if odd:
        raise ConfigError(f"{what} has no {odd[0]!r:.80}; it has {', '.join(names)}.")
    return dict(values)


def _sequence(values: Any, what: str, most: float) -> Sequence[Any]:
    if not isinstance(values, list) or len(values) > most:
        raise ConfigError(f"{what} must be a list of at most {most:.0f}, not {values!r:.80}.")
    return values


def _count(value: Any, what: str, least: int, most: float) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{what} must be a whole number of {least:,} to {int(most):,}, not {value!r:.80}.")
    return value


def _number(value: Any, what: str, above: float, most: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not above < value <= most:
        raise ConfigError(f"{what} must be a number above {above:g} and at most {most:g}, not {value!r:.80}.")
    return float(value)


def _choice(value: Any, what: str, names: Any) -> str:
    if not isinstance(value, str) or value not in names:
        raise ConfigError(f"there is no {what} {value!r:.80}; choose from {', '.join(names)}.")
    return value


def _settings(optimizer: str, values: Any) -> dict[str, Any]:
    """Return the settings of an optimizer that a page names; their bounds are known to the optimizer itself."""
    known = settings_of(optimizer)
    given = _mapping(values, f"settings of {optimizer}", known)
    for name, value in given.items():
        kinds = {bool: (bool,), str: (str,)}.get(type(known[name]), (int, float))
        if type(value) not in kinds:
            raise ConfigError(f"{name} must be like {known[name]!r}, not {value!r:.80}.")
    return given
