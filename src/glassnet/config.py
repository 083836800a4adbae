"""What one training is, in plain values: written down, read back, and turned into a network and its optimizer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.checks import check_count
from glassnet.data import DataSet, load
from glassnet.errors import ConfigError
from glassnet.initializers import INITIALIZERS, GlorotUniform, HeNormal, Initializer, Normal
from glassnet.layers import ACTIVATIONS, Dense, Flatten, Layer
from glassnet.losses import LOSSES, Loss
from glassnet.network import Network
from glassnet.optim import OPTIMIZERS, Optimizer
from glassnet.schedules import Constant, Cosine, OneCycle, Schedule, Step
from glassnet.training import Listener, Result, Training, follow

LEARNING_RATES = {"sgd": 0.8, "momentum": 0.1, "adagrad": 0.1, "rmsprop": 0.003, "adam": 0.005}
"""Peak learning rates for the default network and schedule, chosen on the validation images (docs/decisions/0008)."""

OUTPUTS = {"softmax-crossentropy": "softmax", "sigmoid-crossentropy": "sigmoid", "mse": "sigmoid"}
"""The output activation that goes with each loss, where classes are to be told apart."""

RECTIFIERS = ("relu", "leaky-relu", "elu", "gelu", "silu", "softplus")

ONE_THREAD_UP_TO = 200
"""Batches up to this size train with one BLAS thread: a second one gains little there, and on a busy machine the two
wait for each other (docs/decisions/0009)."""

SCHEDULES = ("constant", "step", "cosine", "onecycle")

SETTINGS = {
    "sgd": (),
    "momentum": ("momentum",),
    "adagrad": ("epsilon",),
    "rmsprop": ("rho", "epsilon"),
    "adam": ("beta1", "beta2", "epsilon"),
}
"""Which settings each optimizer has besides the learning rate."""


MOST_UNITS = 1_000_000
"""The widest hidden layer that is taken for meant."""


@dataclass(frozen=True)
class RunConfig:
    """One training, whole: the same values give the same run.

    Parameters
    ----------
    data : "mnist", a folder of IDX files, or "train.csv,test.csv"
    classes : number of classes of other data than MNIST
    validation : samples held out from the end of the training split; None: the last 5,000, or a tenth of fewer
    validate : evaluate them after each epoch
    hidden : widths of the hidden layers
    activation : of the hidden layers, a name of `layers.ACTIVATIONS`
    output_activation : None: the one that goes with the loss
    initializer : a name of `initializers.INITIALIZERS` for all weights, "normal:0.05" with a deviation; "auto":
        he-normal before rectifiers, glorot-uniform before other activations and the output
    loss, loss_reduction : see `losses`
    optimizer : a name of `optim.OPTIMIZERS`
    learning_rate : the peak of the schedule; None: `LEARNING_RATES`
    momentum, rho, beta1, beta2, epsilon : of the optimizer; None: its default
    schedule : of the learning rate over the whole run: "constant"; "step", a tenth after each third; "cosine" to zero
        after a warm-up of a twentieth; "onecycle", up for three tenths and down to zero
    batch_size : samples a step, or "full"
    epochs, max_steps, shuffle, seed : see `training.Training`
    threads : that BLAS may use; None: one for batches of up to `ONE_THREAD_UP_TO`, else as many as it likes

    Raises
    ------
    ConfigError
        If a value is unknown, or values contradict each other.

    Examples
    --------
    >>> config = RunConfig(hidden=(30,), epochs=1)
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    """

    data: str = "mnist"
    classes: int = 10
    validation: int | None = None
    validate: bool = True
    hidden: tuple[int, ...] = (100, 100)
    activation: str = "relu"
    output_activation: str | None = None
    initializer: str = "auto"
    loss: str = "softmax-crossentropy"
    loss_reduction: str = "mean"
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float | None = None
    rho: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    schedule: str = "onecycle"
    batch_size: int | str = 100
    epochs: int = 6
    max_steps: int | None = None
    shuffle: bool = True
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for what, value, names in (
            ("activation", self.activation, ACTIVATIONS),
            ("output activation", self.output_activation, ACTIVATIONS),
            ("loss", self.loss, LOSSES),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
        ):
            if value is not None and value not in names:
                raise ConfigError(f"there is no {what} {value!r}; choose from {', '.join(names)}.")
        for name in ("momentum", "rho", "beta1", "beta2", "epsilon"):
            if getattr(self, name) is not None and name not in SETTINGS[self.optimizer]:
                users = [rule for rule, settings in SETTINGS.items() if name in settings]
                raise ConfigError(
                    f"{name} is a setting of the optimizer {' or '.join(users)}, not of {self.optimizer}: "
                    f"leave it out, or choose that optimizer."
                )
        if not isinstance(self.hidden, tuple) or not all(
            isinstance(width, int) and 1 <= width <= MOST_UNITS for width in self.hidden
        ):
            raise ConfigError(
                f"the widths of the hidden layers must be whole numbers of 1 to {MOST_UNITS:,}, "
                f"not {self.hidden!r:.80}."
            )
        if not isinstance(self.batch_size, int) and self.batch_size != "full":
            raise ConfigError(f'the batch size must be a whole number or "full", not {self.batch_size!r}.')
        for name in ("epochs", "seed"):
            check_count(name, getattr(self, name), least=0)
        if self.max_steps is not None:
            check_count("max_steps", self.max_steps, least=0)
        self._initializer("hidden")
        self.make_loss()
        self._rule(Constant(1.0))

    def to_dict(self) -> dict[str, Any]:
        """Return all values, ready for JSON."""
        return dataclasses.asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration that `to_dict` wrote; what is left out takes its default."""
        odd = set(values) - {field.name for field in dataclasses.fields(cls)}
        if odd:
            raise ConfigError(f"a configuration has no {', '.join(sorted(map(str, odd)))}.")
        hidden = values.get("hidden", cls.hidden)
        return cls(**{**values, "hidden": tuple(hidden) if isinstance(hidden, list) else hidden})

    def resolved(self, data: DataSet) -> RunConfig:
        """Return the same run with every default spelled out, so that it stays the same when defaults change."""
        rule = self._rule(Constant(1.0))
        return dataclasses.replace(
            self,
            validation=len(data.validation),
            output_activation=self.output_activation or OUTPUTS[self.loss],
            data=absolute_source(self.data),
            learning_rate=self.peak_rate(len(data.train)),
            threads=self.blas_threads() or _threads_now(),
            **{name: getattr(rule, name) for name in SETTINGS[self.optimizer]},
        )

    def peak_rate(self, samples: int) -> float:
        """Return the highest learning rate, for so many training samples.

        The default is made for the mean over a batch; where the loss is the sum, the steps of sgd and momentum would be
        as many times longer, so their default is divided by the batch size. The other rules do not see the scale.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        rate = LEARNING_RATES[self.optimizer]
        batch = samples if self.batch_size == "full" else min(int(self.batch_size), samples)
        return rate / batch if self.loss_reduction == "sum" and self.optimizer in ("sgd", "momentum") else rate

    def blas_threads(self) -> int | None:
        """Return how many threads BLAS may use; None leaves it as it is. A fixed rule, since results depend on it."""
        few = isinstance(self.batch_size, int) and self.batch_size <= ONE_THREAD_UP_TO
        return 1 if self.threads is None and few else self.threads

    def load_data(self) -> DataSet:
        """Load the data."""
        return load(self.data, validation=self.validation, classes=self.classes)

    def make_loss(self) -> Loss:
        """Make the loss."""
        return LOSSES[self.loss](self.loss_reduction)  # type: ignore[arg-type]

    def make_network(self, data: DataSet) -> Network:
        """Make a network of dense layers that fits the data, with fresh parameters."""
        layers: list[Layer] = [Flatten()] if len(data.input_shape) > 1 else []
        for units in self.hidden:
            layers += [Dense(units, self._initializer("hidden")), ACTIVATIONS[self.activation]()]
        output = ACTIVATIONS[self.output_activation or OUTPUTS[self.loss]]()
        outputs = data.train.targets.shape[1] if data.classes is None else data.classes
        layers += [Dense(outputs, self._initializer("output")), output]
        return Network(layers, data.input_shape, seed=self.seed)

    def make_optimizer(self, steps: int, samples: int) -> Optimizer:
        """Make the optimizer with its schedule for a run of so many steps over so many training samples."""
        return self._rule(self._schedule(steps, self.peak_rate(samples)))

    def make_training(self, data: DataSet) -> Training:
        """Make the whole run."""
        network = self.make_network(data)
        batch_size = len(data.train) if self.batch_size == "full" else int(self.batch_size)
        steps = self.epochs * math.ceil(len(data.train) / max(batch_size, 1))
        return Training(
            network,
            data,
            self.make_optimizer(steps if self.max_steps is None else min(steps, self.max_steps), len(data.train)),
            self.make_loss(),
            batch_size=self.batch_size,
            epochs=self.epochs,
            max_steps=self.max_steps,
            shuffle=self.shuffle,
            validate=self.validate,
            seed=self.seed,
        )

    def follow(self, training: Training, listeners: Iterable[Listener] = ()) -> Result:
        """Drive a run that `make_training` made to its end, on the BLAS threads that it may use."""
        with threadpool_limits(self.blas_threads(), user_api="blas"):
            return follow(training, listeners)

    def _initializer(self, where: str) -> Initializer:
        if self.initializer == "auto":
            return HeNormal() if where == "hidden" and self.activation in RECTIFIERS else GlorotUniform()
        name, _, deviation = self.initializer.partition(":")
        if name not in INITIALIZERS or (deviation and name != "normal"):
            raise ConfigError(
                f"there is no initializer {self.initializer!r}; choose from auto, {', '.join(INITIALIZERS)}, "
                f"or name a deviation as in normal:0.05."
            )
        try:
            return Normal(float(deviation)) if deviation else INITIALIZERS[name]()
        except ValueError as error:
            raise ConfigError(f"the deviation in {self.initializer!r} is no number >= 0 ({error}).") from None

    def _schedule(self, steps: int, rate: float) -> Schedule:
        steps = max(steps, 2)  # the fewest that have a beginning and an end
        if self.schedule == "constant":
            return Constant(rate)
        if self.schedule == "step":
            return Step(rate, every=math.ceil(steps / 3))
        if self.schedule == "cosine":
            return Cosine(rate, steps, warmup=steps // 20)
        return OneCycle(rate, steps)

    def _rule(self, schedule: Schedule) -> Optimizer:
        settings = {name: getattr(self, name) for name in SETTINGS[self.optimizer]}
        given = {name: value for name, value in settings.items() if value is not None}
        return OPTIMIZERS[self.optimizer](schedule, **given)


def absolute_source(source: str) -> str:
    """Return a source of data so that it is found from another folder, too."""
    if source == "mnist" or Path(source).exists():
        return source if source == "mnist" else str(Path(source).resolve())
    return ",".join(str(Path(part.strip()).resolve()) for part in source.split(","))


def _threads_now() -> int | None:
    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=None)
