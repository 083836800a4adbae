"""RunConfig: a run in plain values, the same on the command line and in the library."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from conftest import blobs, pictures
from threadpoolctl import threadpool_limits

from glassnet import (
    DataSet,
    Dense,
    FanOutNormal,
    Flatten,
    GlorotUniform,
    HeNormal,
    Normal,
    ReLU,
    RunConfig,
    Softmax,
    from_arrays,
    load,
)
from glassnet.cli.train import ACTIVATIONS as CLI_ACTIVATIONS
from glassnet.cli.train import command
from glassnet.config import LEARNING_RATES, OUTPUTS, RECTIFIERS, SCHEDULES, SETTINGS
from glassnet.errors import ConfigError
from glassnet.initializers import INITIALIZERS
from glassnet.layers import ACTIVATIONS
from glassnet.losses import LOSSES
from glassnet.optim import OPTIMIZERS
from glassnet.training import follow

FIELDS = {field.name: field for field in dataclasses.fields(RunConfig)}
OPTIONS = {parameter.name: parameter for parameter in command.params if isinstance(parameter, click.Option)}

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}  # as the whole program has it


@pytest.fixture
def digits() -> DataSet:
    return from_arrays(*pictures(60), validation=10, name="pictures")


# ------------------------------------------------------------------------------------------ values


def test_a_config_comes_back_from_json() -> None:
    config = RunConfig(hidden=(7, 5), optimizer="momentum", momentum=0.5, batch_size="full", shuffle=False)
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_what_is_left_out_takes_its_default() -> None:
    assert RunConfig.from_dict({}) == RunConfig()
    assert RunConfig.from_dict({"epochs": 3, "hidden": []}) == RunConfig(epochs=3, hidden=())


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="a configuration has no colour, size"):
        RunConfig.from_dict({"size": 1, "colour": 2})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resolved_leaves_nothing_to_defaults(digits: DataSet, optimizer: str) -> None:
    resolved = RunConfig(optimizer=optimizer).resolved(digits)
    foreign = {name for settings in SETTINGS.values() for name in settings} - set(SETTINGS[optimizer])
    assert {name for name, value in resolved.to_dict().items() if value is None} == foreign | {"max_steps"}
    assert resolved.resolved(digits) == resolved
    assert resolved.validation == 10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_resolved_is_the_same_run(digits: DataSet, optimizer: str, loss: str) -> None:
    config = RunConfig(optimizer=optimizer, loss=loss, hidden=(5,), epochs=2, batch_size=20)
    first, second = (again.make_training(digits) for again in (config, config.resolved(digits)))
    follow(first, [])
    follow(second, [])
    np.testing.assert_array_equal(first.network.theta, second.network.theta)
    assert first.step == 6


def test_a_given_value_is_kept_and_used(digits: DataSet) -> None:
    config = RunConfig(optimizer="rmsprop", rho=0.5, epsilon=1e-3, learning_rate=0.25, output_activation="sigmoid",
                       loss="mse", schedule="constant")  # fmt: skip
    resolved = config.resolved(digits)
    assert (resolved.rho, resolved.epsilon, resolved.learning_rate) == (0.5, 1e-3, 0.25)
    facts = config.make_optimizer(10, 1000).describe()
    assert facts == {"type": "RMSprop", "learning_rate": 0.25} | {
        name: facts[name] for name in OPTIMIZERS["rmsprop"].hyperparameters
    }
    assert (facts["rho"], facts["epsilon"]) == (0.5, 1e-3)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"activation": "step"}, "there is no activation 'step'; choose from sigmoid, relu"),
        ({"output_activation": "max"}, "there is no output activation 'max'"),
        ({"loss": "hinge"}, "there is no loss 'hinge'"),
        ({"optimizer": "adamw"}, "there is no optimizer 'adamw'; choose from sgd, momentum"),
        ({"schedule": "linear"}, "there is no schedule 'linear'"),
        ({"initializer": "ones"}, "there is no initializer 'ones'; choose from auto, zeros"),
        ({"initializer": "he-normal:2"}, "there is no initializer 'he-normal:2'"),
        ({"initializer": "normal:"}, None),
        ({"initializer": "normal:wide"}, "the deviation in 'normal:wide' is no number"),
        ({"initializer": "normal:-1"}, "the deviation in 'normal:-1' is no number"),
        ({"initializer": "normal:inf"}, "the deviation in 'normal:inf' is no number"),
        ({"loss_reduction": "max"}, "the loss reduction is 'mean' or 'sum'"),
        ({"batch_size": "half"}, "a whole number or \"full\", not 'half'"),
        ({"batch_size": 2.5}, "batch size"),
        ({"hidden": 100}, "the widths of the hidden layers must be whole numbers"),
        ({"hidden": (100, 0)}, "the widths of the hidden layers must be whole numbers"),
        ({"hidden": (10**12,)}, "whole numbers of 1 to 1,000,000"),
        ({"hidden": ("100",)}, "the widths of the hidden layers must be whole numbers"),
        ({"optimizer": "momentum", "momentum": 1.0}, "momentum must be a finite number"),
        ({"beta1": -0.1}, "beta1 must be a finite number"),
        ({"epsilon": -1.0}, "epsilon must be a finite number"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:
        assert RunConfig(**values)  # a deviation left out is the default one
        return
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(**values)


@pytest.mark.parametrize(
    ("optimizer", "setting"),
    [
        (rule, name)
        for rule in SETTINGS
        for name in ("momentum", "rho", "beta1", "beta2", "epsilon")
        if name not in SETTINGS[rule]
    ],
)
def test_settings_of_other_optimizers_are_refused(optimizer: str, setting: str) -> None:
    with pytest.raises(
        ConfigError, match=f"{setting} is a setting of the optimizer .*, not of {optimizer}: leave it out"
    ):
        RunConfig(optimizer=optimizer, **{setting: 0.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": -1}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"max_steps": -1}, "max_steps"),
        ({"seed": -1}, "seed"),
        ({"batch_size": 0}, "batch size"),
        ({"batch_size": True}, "batch size"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number"),
        ({"loss": "mse", "output_activation": "softmax"}, "vanishes"),
        ({"output_activation": "sigmoid"}, "do not sum to one"),
        ({"output_activation": "identity"}, r"let the last layer be Softmax\(\)"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused(digits: DataSet, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(**values).make_training(digits)


# ------------------------------------------------------------------------------------------ what is made


def test_the_default_network(digits: DataSet) -> None:
    layers = RunConfig().make_network(digits).layers
    hidden = (Dense(100, HeNormal()), ReLU())
    assert layers == (Flatten(), *hidden, *hidden, Dense(10, GlorotUniform()), Softmax())


def test_rows_are_not_flattened_and_hidden_layers_can_be_left_out() -> None:
    data = from_arrays(*blobs(30))
    assert RunConfig(hidden=()).make_network(data).layers == (Dense(3, GlorotUniform()), Softmax())


def test_a_regression_gets_an_output_a_column() -> None:
    data = from_arrays(np.ones((20, 4)), np.ones((20, 2)))
    config = RunConfig(loss="mse", output_activation="identity", hidden=(3,), epochs=1)
    run = config.make_training(data)
    assert run.network.output_shape == (2,)
    assert len(follow(run, []).history["train_loss"]) == 1


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_holds_for_all_weights(digits: DataSet, name: str) -> None:
    network = RunConfig(initializer=name, hidden=(4,)).make_network(digits)
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    assert [type(layer.weights) for layer in dense] == [INITIALIZERS[name]] * 2


def test_a_deviation_can_be_named(digits: DataSet) -> None:
    network = RunConfig(initializer="normal:0.25", hidden=(50,)).make_network(digits)
    assert network.layers[1] == Dense(50, Normal(0.25))
    assert network.params[1].W.std() == pytest.approx(0.25, rel=0.1)
    assert RunConfig(initializer="fan-out-normal").make_network(digits).layers[1] == Dense(100, FanOutNormal())


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "softmax"])
def test_auto_goes_by_the_activation(digits: DataSet, activation: str) -> None:
    first = RunConfig(activation=activation, hidden=(4,)).make_network(digits).layers[1]
    assert isinstance(first, Dense)
    rectifies = activation in ("relu", "leaky-relu", "elu", "gelu", "silu", "softplus")  # bounded on one side
    assert first.weights == (HeNormal() if rectifies else GlorotUniform())


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 19, 20, 21, 100])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_fits_every_run(schedule: str, steps: int) -> None:
    rates = [
        RunConfig(schedule=schedule, learning_rate=0.5).make_optimizer(steps, 1000).schedule(k) for k in range(steps)
    ]
    assert all(0 <= rate <= 0.5 for rate in rates)
    assert max(rates) > 0
    if steps >= 20:
        assert max(rates) == pytest.approx(0.5, rel=0.05)
        at_end = {"constant": 0.5, "step": 0.005, "cosine": 0.0, "onecycle": 0.00005}[schedule]
        assert rates[-1] == pytest.approx(at_end, abs=1e-12)


def test_the_staircase_has_three_steps() -> None:
    schedule = RunConfig(schedule="step", learning_rate=1.0).make_optimizer(9, 1000).schedule
    assert [round(schedule(k), 9) for k in range(9)] == [1.0] * 3 + [0.1] * 3 + [0.01] * 3


def test_the_schedule_spans_the_steps_that_will_be_done(digits: DataSet) -> None:
    for values, steps in (
        ({"epochs": 4, "batch_size": 20}, 12),
        ({"epochs": 4, "batch_size": "full"}, 4),
        ({"epochs": 4, "batch_size": 20, "max_steps": 5}, 5),
        ({"epochs": 1, "batch_size": 20, "max_steps": 500}, 3),
    ):
        run = RunConfig(schedule="cosine", **values).make_training(digits)  # type: ignore[arg-type]
        assert run.total_steps == steps
        assert run.optimizer.schedule(steps - 1) == 0.0
        assert run.optimizer.schedule(steps - 2) > 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_every_combination_builds_and_takes_a_step(loss: str) -> None:
    data = from_arrays(*pictures(12), validation=2)
    for activation, optimizer, schedule in product(ACTIVATIONS, OPTIMIZERS, SCHEDULES):
        config = RunConfig(activation=activation, loss=loss, optimizer=optimizer, schedule=schedule, hidden=(3,),
                           max_steps=1, validate=False)  # fmt: skip
        run = config.make_training(data)
        before = run.network.theta.copy()
        follow(run, [])
        assert np.isfinite(run.network.theta).all(), config
        assert (run.network.theta != before).any(), config


# ------------------------------------------------------------------------------------------ one list of names


def test_the_tables_of_this_module_agree_with_the_registries() -> None:
    assert set(LEARNING_RATES) == set(SETTINGS) == set(OPTIMIZERS)
    assert set(OUTPUTS) == set(LOSSES)
    assert set(OUTPUTS.values()) <= set(ACTIVATIONS)
    assert set(RECTIFIERS) <= set(ACTIVATIONS)
    for name, rule in OPTIMIZERS.items():
        assert set(SETTINGS[name]) <= set(inspect.signature(rule).parameters)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("activation", [name for name in ACTIVATIONS if name != "softmax"]),
        ("output_activation", ["softmax", *(name for name in ACTIVATIONS if name != "softmax")]),
        ("loss", list(LOSSES)),
        ("loss_reduction", ["mean", "sum"]),
        ("optimizer", list(OPTIMIZERS)),
        ("schedule", list(SCHEDULES)),
    ],
)
def test_the_choices_of_the_command_line_are_the_registries(option: str, names: list[str]) -> None:
    kind = OPTIONS[option].type
    assert isinstance(kind, click.Choice)
    assert list(kind.choices) == names
    assert set(CLI_ACTIVATIONS) == set(ACTIVATIONS) - {"softmax"}


def test_every_value_has_an_option_with_the_same_default() -> None:
    flags = {"validate": "no_validation", "shuffle": "no_shuffle"}
    assert set(OPTIONS) == {flags.get(name, name) for name in FIELDS} | {"out", "force", "debug"}
    given = command.make_context("train", [], **CONTEXT).params
    for name, field in FIELDS.items():
        assert given[flags.get(name, name)] == (not field.default if name in flags else field.default), name


def test_the_help_names_every_option_every_choice_and_every_default() -> None:
    text = " ".join(command.get_help(click.Context(command, **CONTEXT)).split())
    for name, option in OPTIONS.items():
        assert f"--{name.replace('_', '-')} " in text
        if isinstance(option.type, click.Choice):
            assert f"[{'|'.join(option.type.choices)}]" in text
    defaults = re.findall(r"--([a-z0-9-]+) (?:(?!--[a-z0-9-]+ ).)*?\[default: ([^];]*)", text)
    shown = {name.replace("-", "_"): default for name, default in defaults}
    for name, field in FIELDS.items():
        if field.default is not None and field.type != "bool":
            value = field.default
            assert shown[name] == (",".join(map(str, value)) if isinstance(value, tuple) else str(value)), name
    assert shown["learning_rate"] == ", ".join(f"{rule} {rate:g}" for rule, rate in LEARNING_RATES.items())
    for rule, settings in SETTINGS.items():
        for name in settings:
            assert float(shown[name]) == getattr(OPTIMIZERS[rule](), name), name
    assert set(shown) == set(FIELDS) - {"validate", "shuffle", "max_steps"} | {"out"}
    for name in INITIALIZERS:
        start, _, end = name.rpartition("-")
        assert start in text, name
        assert end in text, name


def test_a_sum_over_the_batch_takes_smaller_steps_by_default() -> None:
    mean, total = RunConfig(optimizer="sgd"), RunConfig(optimizer="sgd", loss_reduction="sum")
    assert total.peak_rate(55_000) == mean.peak_rate(55_000) / 100
    assert total.peak_rate(10) == mean.peak_rate(10) / 10  # fewer samples than a batch
    whole = RunConfig(optimizer="sgd", loss_reduction="sum", batch_size="full")
    assert whole.peak_rate(55_000) == mean.peak_rate(55_000) / 55_000
    assert RunConfig(loss_reduction="sum").peak_rate(55_000) == RunConfig().peak_rate(55_000)  # adam sees no scale
    assert RunConfig(optimizer="sgd", loss_reduction="sum", learning_rate=0.3).peak_rate(55_000) == 0.3


def test_a_resolved_run_names_its_threads_and_finds_its_data_from_elsewhere(
    idx_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(idx_folder.parent)
    config = RunConfig(data=idx_folder.name, batch_size=300)
    with threadpool_limits(1, user_api="blas"):
        resolved = config.resolved(config.load_data())
    assert resolved.threads == 1
    monkeypatch.chdir(tmp_path)
    again = RunConfig.from_dict(resolved.to_dict()).load_data()
    np.testing.assert_array_equal(again.train.features, load(idx_folder).train.features)
