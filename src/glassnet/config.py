"""What one training is, in plain values: written down, read back, and turned into a network and its optimizer."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import tomli_w

from glassnet.checks import check_count, check_number
from glassnet.data import NAMES, DataSet, load
from glassnet.data.files import one_sentence
from glassnet.errors import ConfigError, MissingFileError
from glassnet.files import read_up_to
from glassnet.fitting import follow
from glassnet.initializers import INITIALIZERS, GlorotUniform, HeNormal, Initializer, Normal
from glassnet.layers import ACTIVATIONS, Dense, Flatten, Layer
from glassnet.listeners import ReduceOnPlateau
from glassnet.losses import LOSSES, Loss
from glassnet.network import Network
from glassnet.optim import OPTIMIZERS
from glassnet.optimizer import Optimizer
from glassnet.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    WarmUp,
)
from glassnet.training import Listener, Result, Training, threads_used, worker_count

LEARNING_RATES = {
    "sgd": 0.8,
    "momentum": 0.15,
    "nesterov": 0.15,
    "adagrad": 0.1,
    "rmsprop": 0.006,
    "adadelta": 4.5,
    "adam": 0.008,
    "adamax": 0.06,
    "nadam": 0.0075,
    "amsgrad": 0.008,
    "adamw": 0.0075,
    "radam": 0.016,
    "adan": 0.012,
    "lion": 0.001,
    "schedule-free-adamw": 0.006,
    "muon": 0.003,
}
"""Peak learning rates for the default network, chosen on the validation images with the one-cycle schedule; that of
schedule-free-adamw with a rate that stays after a warm-up (docs/decisions/0008, 0012 and 0017)."""

OUTPUTS = {"softmax-crossentropy": "softmax", "sigmoid-crossentropy": "sigmoid", "mse": "sigmoid"}
"""The output activation that goes with each loss, where classes are to be told apart."""

RECTIFIERS = ("relu", "leaky-relu", "elu", "gelu", "silu", "softplus")

SETTING_NAMES = ("momentum", "momentum_form", "rho", "beta1", "beta2", "beta3", "epsilon", "epsilon_in_root")

ARGUMENTS = {"momentum_form": "form"}
"""What an optimizer calls a setting that has another name here."""

SETTINGS = {
    name: tuple(setting for setting in SETTING_NAMES if ARGUMENTS.get(setting, setting) in rule.hyperparameters)
    for name, rule in OPTIMIZERS.items()
}
"""Which settings each optimizer has besides the learning rate, the weight decay and the clipping that all have."""

FORMS = {"momentum": ("classical", "sum", "mean"), "nesterov": ("classical", "sum")}
"""The forms that an optimizer has."""

COMMON = ("l2", "weight_decay", "clip_value", "clip_norm")

SEE_THE_SCALE = ("sgd", "momentum", "nesterov")
"""Optimizers whose steps grow with the loss."""

MOST_UNITS = 1_000_000
"""The widest hidden layer that is taken for meant."""

MOST = 2**32 - 1
"""The largest seed, and the largest of any other count."""

MOST_PROCESSES = 1024
"""The most workers, or threads."""

RUN_FILE = "run.toml"

MOST_TEXT = 2**16
"""The most bytes of a TOML file."""

MOST_DOTS = 200
"""The most dots in a line of it: the time that `tomllib` takes grows with the square of the parts of a key."""

MOST_DEPTH = 10
"""The most lists and tables within each other."""

MOST_INTEGER = 2**63
"""Whole numbers of TOML are below this; Python would not even write those of some thousand digits."""

_LEAST = {
    "classes": 2,
    "validation": 0,
    "warmup": 0,
    "reduce_on_plateau": 1,
    "epochs": 0,
    "max_steps": 0,
    "seed": 0,
    "workers": 1,
    "threads": 1,
}

_SHAPES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda rate, steps: Constant(rate),
    "step": lambda rate, steps: Step(rate, every=math.ceil(steps / 3)),
    "exponential": lambda rate, steps: Exponential(rate, every=steps - 1, factor=0.01),
    "inverse-time": lambda rate, steps: InverseTime(rate, every=(steps - 1) / 9),
    "polynomial": lambda rate, steps: Polynomial(rate, steps),
    "cosine": lambda rate, steps: Cosine(rate, steps),
    "cosine-restarts": lambda rate, steps: CosineRestarts(rate, cycle=max(2, math.ceil(steps / 7))),
    "onecycle": lambda rate, steps: OneCycle(rate, steps),
}

SCHEDULES = tuple(_SHAPES)


@dataclass(frozen=True)
class RunConfig:
    """One training, whole: the same values give the same run.

    Parameters
    ----------
    data : "mnist" or another name in `glassnet.data.NAMES`, a folder of IDX files, or "train.csv,test.csv"
    classes : number of classes of other data than MNIST
    validation : samples held out from the end of the training split; None: the last 5,000, or a tenth of fewer
    validate : evaluate them after each epoch
    input_range : (low, high), what the network sees in place of 0 and 1: x = low + (high - low) u, with u what the
        preprocessing of the data gives, 0 to 1 for pixels
    hidden : widths of the hidden layers
    activation : of the hidden layers, a name of `layers.ACTIVATIONS`
    output_activation : None: the one that goes with the loss
    initializer : a name of `initializers.INITIALIZERS` for all weights, "normal:0.05" with a deviation; "auto":
        he-normal before rectifiers, glorot-uniform before other activations and the output
    bias_initializer : the same for all biases, but for "auto"
    frozen : names of layers whose parameters stay as they are, such as "dense_1"
    loss, loss_reduction : see `losses`
    label_smoothing : share of each target that goes to all classes alike; with sigmoid-crossentropy and mse to yes and
        no
    class_weights : "balanced", or a weight for each class; see `training.Training`
    optimizer : a name of `optim.OPTIMIZERS`
    learning_rate : the peak of the schedule; None: `LEARNING_RATES`
    momentum, momentum_form, rho, beta1, beta2, beta3, epsilon, epsilon_in_root : of the optimizer, see `optim`
        (`momentum_form` is the argument ``form`` of `Momentum` and `Nesterov`); None: its default
    l2, weight_decay, clip_value, clip_norm : see `optimizer.Optimizer`; None: the optimizer's default
    schedule : of the learning rate over the whole run, from `learning_rate` on and after the warm-up: "constant";
        "step", a tenth after each third; "exponential" to a hundredth; "inverse-time" to a tenth; "polynomial", in a
        straight line to zero; "cosine" to zero; "cosine-restarts", three cosines to zero, each twice as long as the
        one before; "onecycle", up for three tenths and down to zero. None: "onecycle", but "constant" for
        schedule-free-adamw and with `reduce_on_plateau`
    warmup : steps in which the rate rises to that of the schedule, which brings its own if it is "onecycle"; None: a
        twentieth of the run for "cosine" and for schedule-free-adamw, otherwise 0
    reduce_on_plateau : epochs without a better validation loss after which the learning rate falls, see
        `listeners.ReduceOnPlateau`; None: never
    batch_size : samples a step, or "full"
    epochs, max_steps, shuffle, seed : see `training.Training`
    workers : processes that train together, see `training.Training`; None: see `training.worker_count`
    threads : that BLAS may use in a single process; None: see `training.blas_threads`

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
    input_range: tuple[float, ...] = (0.0, 1.0)
    hidden: tuple[int, ...] = (100, 100)
    activation: str = "relu"
    output_activation: str | None = None
    initializer: str = "auto"
    bias_initializer: str = "zeros"
    frozen: tuple[str, ...] = ()
    loss: str = "softmax-crossentropy"
    loss_reduction: str = "mean"
    label_smoothing: float = 0.0
    class_weights: str | tuple[float, ...] | None = None
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float | None = None
    momentum_form: str | None = None
    rho: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    beta3: float | None = None
    epsilon: float | None = None
    epsilon_in_root: bool | None = None
    l2: float | None = None
    weight_decay: float | None = None
    clip_value: float | None = None
    clip_norm: float | None = None
    schedule: str | None = None
    warmup: int | None = None
    reduce_on_plateau: int | None = None
    batch_size: int | str = 200
    epochs: int = 5
    max_steps: int | None = None
    shuffle: bool = True
    seed: int = 0
    workers: int | None = None
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
        for name in SETTING_NAMES:
            if getattr(self, name) is not None and name not in SETTINGS[self.optimizer]:
                users = [rule for rule, settings in SETTINGS.items() if name in settings]
                raise ConfigError(
                    f"{name} is a setting of the optimizer {' or '.join(users)}, not of {self.optimizer}: "
                    f"leave it out, or choose that optimizer."
                )
        forms = FORMS.get(self.optimizer, ())
        if self.momentum_form is not None and self.momentum_form not in forms:
            raise ConfigError(
                f"momentum_form of {self.optimizer} must be {' or '.join(forms)}, not {self.momentum_form!r:.80}."
            )
        if not isinstance(self.hidden, tuple) or not all(
            isinstance(width, int) and 1 <= width <= MOST_UNITS for width in self.hidden
        ):
            raise ConfigError(
                f"the widths of the hidden layers must be whole numbers of 1 to {MOST_UNITS:,}, "
                f"not {self.hidden!r:.80}."
            )
        low, high = self._bounds()
        object.__setattr__(self, "input_range", (low, high))
        if not isinstance(self.batch_size, int) and self.batch_size != "full":
            raise ConfigError(f'the batch size must be a whole number or "full", not {self.batch_size!r:.80}.')
        if isinstance(self.batch_size, int) and self.batch_size > MOST:
            raise ConfigError(f'the batch size must be at most {MOST:,}, or "full", not {self.batch_size!r:.80}.')
        for name, least in _LEAST.items():
            value = getattr(self, name)
            most = MOST_PROCESSES if name in ("workers", "threads") else MOST
            if value is not None and check_count(name, value, least=least) > most:
                raise ConfigError(f"{name} must be a whole number of {least} to {most:,}, not {value!r:.80}.")
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, above=0)
        if self.schedule_name == "onecycle" and self.warmup:
            raise ConfigError("the schedule onecycle brings its own warm-up: leave warmup out, or choose another.")
        if self.schedule_name == "onecycle" and self.reduce_on_plateau is not None:
            raise ConfigError(
                "the schedule onecycle falls by itself: leave reduce_on_plateau out, or choose another schedule."
            )
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise ConfigError(
                f'the class weights must be "balanced" or a number for each class, not {self.class_weights!r:.80}.'
            )
        self._initializer("hidden")
        _named_initializer(self.bias_initializer, "bias initializer", [])
        self.make_loss()
        self._rule(Constant(1.0))

    def to_dict(self) -> dict[str, Any]:
        """Return all values, ready for JSON."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def to_toml(self) -> str:
        """Return all values that are not None as TOML, which `from_toml` reads.

        Raises
        ------
        ConfigError
            If a name is not Unicode, which some systems allow in names of files.
        """
        values = {name: value for name, value in self.to_dict().items() if value is not None}
        try:
            values["data"] = os.fsencode(self.data).decode()  # whatever letters the system has for the name
        except UnicodeError:
            raise ConfigError(f"the name {self.data!a} can not be written as TOML: rename it.") from None
        return tomli_w.dumps(values)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> RunConfig:
        """Read a file of values; what is left out takes its default.

        Parameters
        ----------
        path : the file, or the folder with a run.toml

        Raises
        ------
        MissingFileError
            If it is not there.
        ConfigError
            If it is no TOML, has a name that no run has, or a value that makes no sense.
        """
        path = Path(path)
        path = path / RUN_FILE if path.is_dir() else path
        try:
            values = parse_toml(read_text(path), str(path))
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFileError(f"{path}: there is no such file; name the {RUN_FILE} of a run.") from None
        if isinstance(values.get("data"), str):
            values["data"] = os.fsdecode(values["data"].encode())
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {one_sentence(str(error))}") from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration that `to_dict` wrote; what is left out takes its default."""
        kinds = _kinds()
        odd = set(values) - set(kinds)
        if odd:
            raise ConfigError(f"a configuration has no {', '.join(sorted(map(str, odd)))}.")
        for name, value in values.items():
            if not any(_fits(value, kind) for kind in kinds[name]):
                wanted = " or ".join(_in_words(kind) for kind in kinds[name] if kind is not type(None))
                raise ConfigError(f"{name} must be {wanted}, not {value!r:.80}.")
        hashable: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**hashable)

    def changed(self, **values: Any) -> RunConfig:
        """Return this run with other values, without what belonged to those that they replace.

        Unless it is among `values` itself, each of these takes its default again:

        * with another optimizer its settings, the learning rate and the weight decay, and the schedule if it is the
          one that the old optimizer has by default;
        * with another `reduce_on_plateau` the schedule if it is the default;
        * where the schedule becomes "onecycle", by itself or by default, the warm-up and `reduce_on_plateau`;
        * with another loss the output activation;
        * with another loss reduction, and where it is "sum" with another batch size, the learning rate of an optimizer
          in `SEE_THE_SCALE`; so with other data or another number of samples held out if all are one batch;
        * with other data, unless it is the same by another name, the number of classes and the samples held out;
        * with other data or another number of classes the class weights, but not "balanced";
        * with another batch size, other hidden layers or other data the workers, and the threads;
        * with another number of workers the threads, and the other way round.

        Examples
        --------
        >>> config = RunConfig(optimizer="adam", beta1=0.8, learning_rate=0.002, schedule="cosine", epochs=3)
        >>> other = config.changed(optimizer="momentum", epochs=5)
        >>> other == RunConfig(optimizer="momentum", schedule="cosine", epochs=5)
        True
        """
        changed = {name for name, value in values.items() if value != getattr(self, name)}
        if "data" in changed and same_source(values["data"], self.data):
            changed.remove("data")
        stale: set[str] = set()
        if "optimizer" in changed:
            stale |= {"learning_rate", "weight_decay", *SETTING_NAMES}
        if changed & {"optimizer", "reduce_on_plateau"} and self.schedule == _default_schedule(
            self.optimizer, self.reduce_on_plateau
        ):
            stale.add("schedule")
        if "loss" in changed:
            stale.add("output_activation")
        if self.optimizer in SEE_THE_SCALE and "sum" in (self.loss_reduction, values.get("loss_reduction")):
            of_the_batch = {"data", "validation"} if self.batch_size == "full" else set()
            if changed & {"loss_reduction", "batch_size", *of_the_batch}:
                stale.add("learning_rate")
        if "data" in changed:
            stale |= {"classes", "validation"}
        if changed & {"data", "classes"} and isinstance(self.class_weights, tuple):
            stale.add("class_weights")
        if changed & {"batch_size", "hidden", "data"}:
            stale |= {"workers", "threads"}
        if "workers" in changed:
            stale.add("threads")
        if "threads" in changed:
            stale.add("workers")
        result = dataclasses.asdict(self) | {name: getattr(RunConfig, name) for name in stale} | values
        schedule = result["schedule"] or _default_schedule(result["optimizer"], result["reduce_on_plateau"])
        if schedule == "onecycle":
            result |= {name: None for name in ("warmup", "reduce_on_plateau") if name not in values}
        return RunConfig(**result)

    @property
    def schedule_name(self) -> str:
        """The schedule that is meant, even if it was left to the default."""
        return self.schedule or _default_schedule(self.optimizer, self.reduce_on_plateau)

    def resolved(self, data: DataSet) -> RunConfig:
        """Return the same run with every default spelled out, so that it stays the same when defaults change.

        Only the default warm-up stays None: a share of the run belongs to the schedule.
        """
        rule = self._rule(Constant(1.0))
        names = (*SETTINGS[self.optimizer], *COMMON)
        settings: dict[str, Any] = {name: getattr(rule, ARGUMENTS.get(name, name)) for name in names}
        workers = self.worker_count(data)
        return dataclasses.replace(
            self,
            validation=len(data.validation),
            output_activation=self.output_activation or OUTPUTS[self.loss],
            data=absolute_source(self.data),
            learning_rate=self.peak_rate(len(data.train)),
            schedule=self.schedule_name,
            workers=workers,
            threads=self.threads or threads_used(self._batch(data), self._parameters(data), workers),
            **settings,
        )

    def peak_rate(self, samples: int) -> float:
        """Return the highest learning rate, for so many training samples.

        The default is made for the mean over a batch; where the loss is the sum, the steps of the optimizers in
        `SEE_THE_SCALE` would be as many times longer, so their default is divided by the batch size.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        rate = LEARNING_RATES[self.optimizer]
        batch = samples if self.batch_size == "full" else min(int(self.batch_size), samples)
        return rate / batch if self.loss_reduction == "sum" and self.optimizer in SEE_THE_SCALE else rate

    def load_data(self) -> DataSet:
        """Load the data, with the preprocessing that gives the inputs their range."""
        if self.data == "mnist" and self.classes != 10:
            raise ConfigError(f"classes is for other data: mnist has 10, not {self.classes!r:.80}.")
        data = load(self.data, validation=self.validation, classes=self.classes)
        preprocessing = data.preprocessing.to_range(*self._bounds())
        return data if preprocessing is data.preprocessing else dataclasses.replace(data, preprocessing=preprocessing)

    def make_loss(self) -> Loss:
        """Make the loss."""
        return LOSSES[self.loss](self.loss_reduction, self.label_smoothing)  # type: ignore[arg-type,call-arg]

    def make_network(self, data: DataSet) -> Network:
        """Make a network of dense layers that fits the data, with fresh parameters."""
        layers: list[Layer] = [Flatten()] if len(data.input_shape) > 1 else []
        biases = _named_initializer(self.bias_initializer, "bias initializer", [])
        for units in self.hidden:
            layers += [Dense(units, self._initializer("hidden"), biases), ACTIVATIONS[self.activation]()]
        output = ACTIVATIONS[self.output_activation or OUTPUTS[self.loss]]()
        outputs = data.train.targets.shape[1] if data.classes is None else data.classes
        layers += [Dense(outputs, self._initializer("output"), biases), output]
        return Network(layers, data.input_shape, seed=self.seed)

    def make_optimizer(self, steps: int, samples: int) -> Optimizer:
        """Make the optimizer with its schedule for a run of so many steps over so many training samples."""
        return self._rule(self._schedule(steps, self.peak_rate(samples)))

    def make_training(
        self, data: DataSet, network: Network | None = None, optimizer: Optimizer | None = None
    ) -> Training:
        """Make the whole run, with another network or optimizer than its own if they are given."""
        batch_size = len(data.train) if self.batch_size == "full" else int(self.batch_size)
        steps = self.epochs * math.ceil(len(data.train) / max(batch_size, 1))
        steps = steps if self.max_steps is None else min(steps, self.max_steps)
        training = Training(
            network or self.make_network(data),
            data,
            optimizer or self.make_optimizer(steps, len(data.train)),
            self.make_loss(),
            batch_size=self.batch_size,
            epochs=self.epochs,
            max_steps=self.max_steps,
            shuffle=self.shuffle,
            validate=self.validate,
            seed=self.seed,
            frozen=self.frozen,
            class_weights=self.class_weights,  # type: ignore[arg-type]
            workers=self.worker_count(data),
            threads=self.threads,
        )
        if self.reduce_on_plateau is not None and not training.validates:
            raise ConfigError("reduce_on_plateau watches the validation loss, but nothing is validated in this run.")
        return training

    def follow(
        self, training: Training, listeners: Iterable[Listener] = (), saved: Mapping[str, Any] | None = None
    ) -> Result:
        """Drive a run that `make_training` made to its end, from a checkpoint if one is given."""
        own = [] if self.reduce_on_plateau is None else [ReduceOnPlateau(patience=self.reduce_on_plateau)]
        return follow(training, [*own, *listeners], saved)

    def worker_count(self, data: DataSet) -> int:
        """Return how many workers train: those that were asked for, or those that are of use on this machine."""
        if self.workers is not None:
            return self.workers
        if self.threads is not None:
            return 1
        return worker_count(cores(), self._batch(data), self._parameters(data))

    def _parameters(self, data: DataSet) -> int:
        outputs = data.train.targets.shape[1] if data.classes is None else data.classes
        widths = math.prod(data.input_shape), *self.hidden, outputs
        return sum((inputs + 1) * units for inputs, units in pairwise(widths))

    def _batch(self, data: DataSet) -> int:
        samples = len(data.train)
        return samples if self.batch_size == "full" else min(int(self.batch_size), samples)

    def _initializer(self, where: str) -> Initializer:
        if self.initializer == "auto":
            return HeNormal() if where == "hidden" and self.activation in RECTIFIERS else GlorotUniform()
        return _named_initializer(self.initializer, "initializer", ["auto"])

    def _bounds(self) -> tuple[float, float]:
        """Return low and high of the input range."""
        wanted = "input_range must be two numbers, the lower one first, with a finite difference"
        if not isinstance(self.input_range, tuple) or len(self.input_range) != 2:
            raise ConfigError(f"{wanted}, not {self.input_range!r:.80}.")
        low, high = (check_number("input_range", bound) for bound in self.input_range)
        if not 0 < high - low < math.inf:
            raise ConfigError(f"{wanted}, not {self.input_range!r:.80}.")
        return low, high

    def _schedule(self, steps: int, rate: float) -> Schedule:
        steps = max(steps, 2)  # the fewest that have a beginning and an end
        name = self.schedule_name
        rises = name == "cosine" or (self.optimizer == "schedule-free-adamw" and name != "onecycle")
        warmup = (steps // 20 if rises else 0) if self.warmup is None else self.warmup
        if steps - warmup < 2:
            raise ConfigError(f"a warm-up of {warmup:,} steps leaves nothing of a run of {steps:,}: take fewer.")
        schedule = _SHAPES[name](rate, steps - warmup)
        return WarmUp(schedule, warmup) if warmup else schedule

    def _rule(self, schedule: Schedule) -> Optimizer:
        settings = {name: getattr(self, name) for name in (*SETTINGS[self.optimizer], *COMMON)}
        given = {ARGUMENTS.get(name, name): value for name, value in settings.items() if value is not None}
        return OPTIMIZERS[self.optimizer](schedule, **given)


def read_text(path: Path) -> str:
    """Read a TOML file of at most `MOST_TEXT` bytes.

    Raises
    ------
    ConfigError
        If it has more, is no UTF-8, or no system can have a file of that name.
    OSError
        If the system refuses.
    """
    try:
        content = read_up_to(path, MOST_TEXT + 1)
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}).") from None
    except ValueError as error:
        raise ConfigError(f"{str(path)!a:.200} is no name of a file ({error}).") from None
    if len(content) > MOST_TEXT:
        raise ConfigError(f"{path} has more than {MOST_TEXT:,} bytes: write less, or name another file.")
    return io.StringIO(text, newline=None).read()  # all ends of lines become line feeds


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the values of a TOML text, which may come from anybody.

    Parameters
    ----------
    text : at most `MOST_TEXT` letters
    where : what errors call it

    Raises
    ------
    ConfigError
        If it is no TOML, or beyond one of the bounds of this module.

    Examples
    --------
    >>> parse_toml("hidden = [300, 100]", "the text")
    {'hidden': [300, 100]}
    """
    if len(text) > MOST_TEXT:
        raise ConfigError(f"{where} has more than {MOST_TEXT:,} bytes: write less, or name another file.")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            raise ConfigError(f"{where} has more than {MOST_DOTS} dots in line {number}: take several lines.")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is no TOML: {one_sentence(str(error))}") from None
    parts: list[Any] = [values]
    for _ in range(MOST_DEPTH):
        inner = [value for part in parts for value in (part.values() if isinstance(part, dict) else part)]
        if any(isinstance(value, int) and not -MOST_INTEGER <= value < MOST_INTEGER for value in inner):
            raise ConfigError(f"{where} has a whole number of more than 64 bits: take a smaller one.")
        parts = [value for value in inner if isinstance(value, dict | list)]
    if parts:
        raise ConfigError(f"{where} has lists or tables more than {MOST_DEPTH} deep in each other: take fewer.")
    return values


def _named_initializer(text: str, what: str, others: list[str]) -> Initializer:
    """Return the initializer of a name, or of "normal:" and a deviation."""
    name, _, deviation = text.partition(":")
    if name not in INITIALIZERS or (deviation and name != "normal"):
        raise ConfigError(
            f"there is no {what} {text!r}; choose from {', '.join([*others, *INITIALIZERS])}, "
            f"or name a deviation as in normal:0.05."
        )
    try:
        return Normal(float(deviation)) if deviation else INITIALIZERS[name]()
    except ValueError as error:
        raise ConfigError(f"the deviation in {text!r} is no number >= 0 ({error}).") from None


def absolute_source(source: str) -> str:
    """Return a source of data so that it is found from another folder, too."""
    if source in NAMES:
        return source
    if Path(source).exists():
        return str(Path(source).resolve())
    return ",".join(str(Path(part.strip()).resolve()) for part in source.split(","))


def same_source(one: str, other: str) -> bool:
    """Return whether two sources of data are the same, however they are written."""
    try:
        return absolute_source(one) == absolute_source(other)
    except (OSError, ValueError):  # what no file can be called
        return one == other


def _default_schedule(optimizer: str, reduce_on_plateau: int | None) -> str:
    falls_otherwise = optimizer == "schedule-free-adamw" or reduce_on_plateau is not None
    return "constant" if falls_otherwise else "onecycle"


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _kinds() -> dict[str, tuple[Any, ...]]:
    """Each field of `RunConfig` and the types that it takes."""
    hints = get_type_hints(RunConfig)
    return {name: (kind,) if get_origin(kind) is not UnionType else get_args(kind) for name, kind in hints.items()}


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(part, get_args(kind)[0]) for part in value)
    return type(value) in ((int, float) if kind is float else (kind,))


def _in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"a list, each {_in_words(get_args(kind)[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")
