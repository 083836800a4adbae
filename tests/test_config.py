"""RunConfig: a run in plain values, the same on the command line and in the library."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

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
from glassnet.cli.train import command
from glassnet.config import (
    ARGUMENTS,
    COMMON,
    FORMS,
    LEARNING_RATES,
    OUTPUTS,
    RECTIFIERS,
    SCHEDULES,
    SETTING_NAMES,
    SETTINGS,
)
from glassnet.errors import ConfigError, MissingFileError
from glassnet.fitting import follow
from glassnet.initializers import INITIALIZERS
from glassnet.layers import ACTIVATIONS
from glassnet.losses import LOSSES
from glassnet.optim import OPTIMIZERS

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
    unused = {"class_weights", "clip_norm", "clip_value", "max_steps", "reduce_on_plateau"}
    assert {name for name, value in resolved.to_dict().items() if value is None} == foreign | unused | {"warmup"}
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
    assert (resolved.l2, resolved.weight_decay) == (0.0, 0.0)


def test_every_setting_arrives_where_it_belongs(digits: DataSet) -> None:
    config = RunConfig(
        optimizer="adan", beta1=0.9, beta2=0.8, beta3=0.7, l2=0.01, weight_decay=0.02, clip_value=0.5, clip_norm=3.0,
        label_smoothing=0.1, class_weights=(1.0,) * 9 + (2.5,), frozen=("dense_1",), max_steps=2, hidden=(5,),
    )  # fmt: skip
    run = config.make_training(digits)
    rule = run.optimizer
    assert (rule.beta1, rule.beta2, rule.beta3) == (0.9, 0.8, 0.7)  # type: ignore[attr-defined]
    assert (rule.l2, rule.weight_decay, rule.clip_value, rule.clip_norm) == (0.01, 0.02, 0.5, 3.0)
    assert run.loss.label_smoothing == 0.1  # type: ignore[union-attr]
    assert run.class_weights == config.class_weights
    before = run.network.params[1].W.copy()
    config.follow(run)
    np.testing.assert_array_equal(run.network.params[1].W, before)


def test_forms_and_epsilons_arrive(digits: DataSet) -> None:
    for optimizer, form in (("momentum", "mean"), ("nesterov", "sum")):
        config = RunConfig(optimizer=optimizer, momentum_form=form)
        assert config.make_training(digits).optimizer.form == form  # type: ignore[attr-defined]
        assert RunConfig(optimizer=optimizer).resolved(digits).momentum_form == "classical"
    rule = RunConfig(optimizer="rmsprop", epsilon_in_root=True).make_training(digits).optimizer
    assert rule.epsilon_in_root is True  # type: ignore[attr-defined]
    assert RunConfig(optimizer="rmsprop").resolved(digits).epsilon_in_root is False


def test_smoothing_of_squares_arrives(digits: DataSet) -> None:
    run = RunConfig(loss="mse", label_smoothing=0.02).make_training(digits)
    assert np.unique(run.plan.targets).tolist() == pytest.approx([0.01, 0.99])


def test_biases_are_drawn_as_told(digits: DataSet) -> None:
    network = RunConfig(bias_initializer="normal:0.1", hidden=(400, 300)).make_network(digits)
    biases = [layer.b for layer in network.params if "b" in vars(layer)]
    assert [len(b) for b in biases] == [400, 300, 10]
    assert 0.08 < np.std(np.concatenate(biases)) < 0.12
    for b in biases[:2]:
        assert abs(b.mean()) < 0.03
    assert RunConfig(bias_initializer="normal").make_network(digits).layers[1] == Dense(100, HeNormal(), Normal())
    for layer in RunConfig().make_network(digits).params:
        assert not vars(layer).get("b", np.zeros(1)).any()


def test_inputs_in_a_range(idx_folder: Path) -> None:
    config = RunConfig(data=str(idx_folder), input_range=(0.01, 1.0), hidden=(5,), epochs=1)
    plain, data = load(idx_folder), config.load_data()
    u = plain.train.features.astype(np.float64) / 255
    x = data.preprocessing.apply(data.train.features, dtype="float64")
    np.testing.assert_allclose(x, 0.01 * (1 - u) + u, rtol=0, atol=1e-15)
    assert plain.preprocessing == RunConfig(data=str(idx_folder)).load_data().preprocessing
    assert load(idx_folder).preprocessing == plain.preprocessing
    training = config.make_training(data)
    config.follow(training)
    assert training.model.preprocessing == data.preprocessing
    assert training.model.evaluate(plain.test) == training.model.evaluate(data.test)  # raw samples of either


def test_adamw_alone_decays_by_default(digits: DataSet) -> None:
    decays = {name: RunConfig(optimizer=name).resolved(digits).weight_decay for name in OPTIMIZERS}
    assert decays.pop("adamw") == 0.01
    assert set(decays.values()) == {0.0}
    assert RunConfig(optimizer="adamw", weight_decay=0.0).resolved(digits).weight_decay == 0.0


# ------------------------------------------------------------------------------------------ as a file


def test_a_config_comes_back_from_a_file(tmp_path: Path) -> None:
    configs = [
        RunConfig(),
        RunConfig(data='a "b" \\ $c.csv,\u6570\u5b57.csv', hidden=(), frozen=("dense_1",), class_weights="balanced"),
        RunConfig(batch_size="full", class_weights=(1.0, 0.1, 1e-300), epsilon=1e-8, learning_rate=0.1 + 0.2,
                  schedule="cosine", warmup=7, max_steps=3, validate=False),
        RunConfig(optimizer="rmsprop", epsilon_in_root=True, input_range=(0.01, 1.0), bias_initializer="normal:0.1"),
        RunConfig(optimizer="nesterov", momentum_form="sum", loss="mse", label_smoothing=0.02),
    ]  # fmt: skip
    for config in configs:
        (tmp_path / "run.toml").write_text(config.to_toml(), encoding="utf-8")
        assert RunConfig.from_toml(tmp_path / "run.toml") == config
        assert RunConfig.from_toml(tmp_path) == config  # a folder


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('# mine\nhidden = [30, 20]\nlearning_rate = 1\noptimizer = "sgd"\nclass_weights = [1, 2]\n')
    config = RunConfig.from_toml(path)
    assert config == RunConfig(hidden=(30, 20), learning_rate=1.0, optimizer="sgd", class_weights=(1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("epochs 3", ["is no TOML", "line 1"]),
        ("\n\nepochs = 3\nepochs = 4\n", ["is no TOML", "line 4"]),
        ("epoch = 3", ["has no epoch"]),
        ("[network]\nhidden = [3]", ["has no network"]),
        ('epochs = "3"', ["epochs must be a whole number, not '3'"]),
        ("epochs = 3.0", ["epochs must be a whole number, not 3.0"]),
        ("epochs = true", ["epochs must be a whole number, not True"]),
        ("validate = 1", ["validate must be true or false, not 1"]),
        ("data = 5", ["data must be a text, not 5"]),
        ('learning_rate = "fast"', ["learning_rate must be a number, not 'fast'"]),
        ("learning_rate = true", ["learning_rate must be a number, not True"]),
        ("learning_rate = nan", ["learning_rate must be a finite number"]),
        ("learning_rate = -1", ["learning_rate must be a finite number"]),
        ("hidden = 100", ["hidden must be a list, each a whole number, not 100"]),
        ('hidden = ["100"]', ["hidden must be a list"]),
        ("input_range = 1", ["input_range must be a list, each a number, not 1"]),
        ('input_range = [0, "1"]', ["input_range must be a list, each a number"]),
        ("input_range = [1, 0]", ["input_range must be two numbers"]),
        ("epsilon_in_root = 1", ["epsilon_in_root must be true or false, not 1"]),
        ("hidden = [0]", ["whole numbers of 1 to 1,000,000"]),
        ('frozen = "dense_1"', ["frozen must be a list, each a text"]),
        ("class_weights = 2", ["class_weights must be a text or a list, each a number, not 2"]),
        ('class_weights = "even"', ['must be "balanced" or a number for each class']),
        ('optimizer = "best"', ["there is no optimizer 'best'"]),
        ("batch_size = 2.5", ["batch_size must be a whole number or a text, not 2.5"]),
        ("threads = 0", ["threads must be a whole number of at least 1"]),
        ("classes = 1", ["classes must be a whole number of at least 2"]),
        ("seed = 1979-05-27", ["seed must be a whole number"]),
        ("beta3 = 0.5", ["beta3 is a setting of the optimizer adan, not of adam"]),
        ("epochs = " + "9" * 5000, ["is no TOML"]),
        ("hidden = " + "[" * 60_000, ["is no TOML"]),
        ("hidden = " + "[" * 11 + "]" * 11, ["has lists or tables more than 10 deep in each other"]),
        ("epochs = 0x" + "f" * 5000, ["has a whole number of more than 64 bits"]),
        ("learning_rate = -9223372036854775809", ["has a whole number of more than 64 bits"]),
        (".".join("a" * 202) + " = 1", ["has more than 200 dots in line 1"]),
        ("#" * 2**16 + "\n", ["has more than 65,536 bytes"]),
        ('"' + "two lines\\n" * 500 + '" = 1', ["has no two lines two lines", " ... "]),
        (f'loss = "{"nll" * 5000}"', ["there is no loss 'nllnll", " ... ", "mse."]),
    ],
)
def test_a_file_with_mistakes_gets_one_sentence(tmp_path: Path, text: str, fragments: list[str]) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_toml(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    assert len(sentence) < len(str(path)) + 400
    for fragment in fragments:
        assert fragment in sentence


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"epochs = 3 # \xff\xfe")
    with pytest.raises(ConfigError, match=r"run\.toml is no text in UTF-8 .* at byte 13"):
        RunConfig.from_toml(tmp_path)
    for path in (tmp_path / "nothing.toml", tmp_path / "run.toml" / "inside"):
        with pytest.raises(MissingFileError, match=r"there is no such file; name the run\.toml of a run"):
            RunConfig.from_toml(path)


def test_a_name_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigError, match="can not be written as TOML: rename it"):
        RunConfig(data="bad\udcff").to_toml()


# ------------------------------------------------------------------------------------------ changes


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"optimizer": "adam", "beta1": 0.8, "epsilon": 1e-7, "learning_rate": 0.1, "epochs": 3}, {"optimizer": "sgd"},
         {"optimizer": "sgd", "epochs": 3}),
        ({"optimizer": "adam", "beta1": 0.8, "learning_rate": 0.1}, {"optimizer": "adam", "beta2": 0.5},
         {"optimizer": "adam", "beta1": 0.8, "beta2": 0.5, "learning_rate": 0.1}),
        ({"optimizer": "adam", "beta1": 0.8}, {"optimizer": "adamw", "beta1": 0.7, "learning_rate": 0.2},
         {"optimizer": "adamw", "beta1": 0.7, "learning_rate": 0.2}),
        ({"optimizer": "adam", "weight_decay": 0.0, "l2": 0.1, "clip_norm": 2.0}, {"optimizer": "adamw"},
         {"optimizer": "adamw", "l2": 0.1, "clip_norm": 2.0}),
        ({"schedule": "onecycle"}, {"optimizer": "schedule-free-adamw"}, {"optimizer": "schedule-free-adamw"}),
        ({"schedule": "cosine"}, {"optimizer": "schedule-free-adamw"},
         {"optimizer": "schedule-free-adamw", "schedule": "cosine"}),
        ({"optimizer": "schedule-free-adamw", "schedule": "constant"}, {"optimizer": "sgd"}, {"optimizer": "sgd"}),
        ({"schedule": "onecycle"}, {"reduce_on_plateau": 2}, {"reduce_on_plateau": 2}),
        ({"schedule": "constant", "reduce_on_plateau": 2, "warmup": 5}, {"schedule": "onecycle"},
         {"schedule": "onecycle"}),
        ({"schedule": "constant", "warmup": 5}, {"schedule": "cosine", "epochs": 9},
         {"schedule": "cosine", "warmup": 5, "epochs": 9}),
        ({"output_activation": "softmax", "label_smoothing": 0.1}, {"loss": "mse"},
         {"loss": "mse", "label_smoothing": 0.1}),
        ({"output_activation": "softmax", "label_smoothing": 0.1}, {"loss": "sigmoid-crossentropy"},
         {"loss": "sigmoid-crossentropy", "label_smoothing": 0.1}),
        ({"optimizer": "momentum", "momentum_form": "sum", "momentum": 0.5}, {"optimizer": "nesterov"},
         {"optimizer": "nesterov"}),
        ({"optimizer": "momentum", "momentum_form": "sum", "momentum": 0.5}, {"momentum_form": "mean"},
         {"optimizer": "momentum", "momentum_form": "mean", "momentum": 0.5}),
        ({"optimizer": "rmsprop", "epsilon_in_root": True}, {"optimizer": "adadelta"}, {"optimizer": "adadelta"}),
        ({"data": "/a", "input_range": (0.01, 1.0), "bias_initializer": "normal"}, {"data": "/b"},
         {"data": "/b", "input_range": (0.01, 1.0), "bias_initializer": "normal"}),
        ({"optimizer": "sgd", "learning_rate": 0.8}, {"loss_reduction": "sum"},
         {"optimizer": "sgd", "loss_reduction": "sum"}),
        ({"learning_rate": 0.8}, {"loss_reduction": "sum"}, {"learning_rate": 0.8, "loss_reduction": "sum"}),
        ({"data": "/a", "classes": 26, "validation": 7}, {"data": "/b"}, {"data": "/b"}),
        ({"data": "/a", "classes": 26}, {"data": "/b", "classes": 3}, {"data": "/b", "classes": 3}),
        ({"batch_size": 100, "threads": 1}, {"batch_size": "full"}, {"batch_size": "full"}),
        ({"optimizer": "sgd", "loss_reduction": "sum", "learning_rate": 0.008}, {"batch_size": 2000},
         {"optimizer": "sgd", "loss_reduction": "sum", "batch_size": 2000}),
        ({"optimizer": "sgd", "loss_reduction": "sum", "learning_rate": 0.008}, {"loss_reduction": "mean"},
         {"optimizer": "sgd"}),
        ({"optimizer": "sgd", "learning_rate": 0.8}, {"loss_reduction": "sum", "batch_size": 20},
         {"optimizer": "sgd", "loss_reduction": "sum", "batch_size": 20}),
        ({"optimizer": "sgd", "loss_reduction": "sum", "learning_rate": 0.008},
         {"batch_size": 2000, "learning_rate": 0.1},
         {"optimizer": "sgd", "loss_reduction": "sum", "batch_size": 2000, "learning_rate": 0.1}),
        ({"optimizer": "sgd", "learning_rate": 0.8}, {"batch_size": 2000},
         {"optimizer": "sgd", "learning_rate": 0.8, "batch_size": 2000}),
        ({"optimizer": "adam", "loss_reduction": "sum", "learning_rate": 0.8}, {"batch_size": 2000},
         {"optimizer": "adam", "loss_reduction": "sum", "learning_rate": 0.8, "batch_size": 2000}),
        ({"optimizer": "sgd", "loss_reduction": "sum", "batch_size": "full", "learning_rate": 1e-5}, {"validation": 9},
         {"optimizer": "sgd", "loss_reduction": "sum", "batch_size": "full", "validation": 9}),
        ({"optimizer": "sgd", "loss_reduction": "sum", "learning_rate": 0.008}, {"validation": 9},
         {"optimizer": "sgd", "loss_reduction": "sum", "learning_rate": 0.008, "validation": 9}),
        ({"optimizer": "schedule-free-adamw", "warmup": 50}, {"optimizer": "adam"}, {"optimizer": "adam"}),
        ({"optimizer": "schedule-free-adamw", "schedule": "constant", "warmup": 50}, {"optimizer": "adam"},
         {"optimizer": "adam"}),
        ({"optimizer": "schedule-free-adamw", "warmup": 50}, {"optimizer": "adam", "schedule": "cosine"},
         {"optimizer": "adam", "schedule": "cosine", "warmup": 50}),
        ({"reduce_on_plateau": 3, "warmup": 50}, {"reduce_on_plateau": None}, {}),
        ({"reduce_on_plateau": 3, "warmup": 50}, {"optimizer": "sgd"},
         {"optimizer": "sgd", "reduce_on_plateau": 3, "warmup": 50}),
        ({"schedule": "cosine", "warmup": 50}, {"schedule": None}, {}),
        ({"data": "/a", "class_weights": (1.0, 2.0)}, {"data": "/b"}, {"data": "/b"}),
        ({"data": "/a", "class_weights": "balanced"}, {"data": "/b"}, {"data": "/b", "class_weights": "balanced"}),
        ({"classes": 2, "class_weights": (1.0, 2.0)}, {"classes": 3}, {"classes": 3}),
        ({"classes": 2, "class_weights": (1.0, 2.0)}, {"classes": 3, "class_weights": (1.0, 2.0, 3.0)},
         {"classes": 3, "class_weights": (1.0, 2.0, 3.0)}),
        ({"threads": 2, "max_steps": 3}, {"epochs": 1, "seed": 4},
         {"threads": 2, "max_steps": 3, "epochs": 1, "seed": 4}),
    ],
)  # fmt: skip
def test_what_belonged_to_a_value_goes_with_it(
    before: dict[str, Any], change: dict[str, Any], after: dict[str, Any]
) -> None:
    assert RunConfig(**before).changed(**change) == RunConfig(**after)


def test_data_by_another_name_are_no_other_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "a.csv").touch()
    monkeypatch.chdir(tmp_path)
    for absolute, relative in ((f"{tmp_path / 'sets'}", "./sets"),
                               (f"{tmp_path / 'a.csv'},{tmp_path / 'b.csv'}", "a.csv, sets/../b.csv")):  # fmt: skip
        config = RunConfig(data=absolute, classes=26, validation=7, class_weights=(1.0,) * 26)
        assert config.changed(data=relative) == dataclasses.replace(config, data=relative)
        assert config.changed(data="other") == RunConfig(data="other")


@pytest.mark.parametrize("name", ["no\0name", "long" * 5000])
def test_data_that_no_file_can_be_called_are_other_data(name: str) -> None:
    assert RunConfig(data=name, classes=26).changed(data="mnist") == RunConfig()


def test_a_sum_over_larger_batches_takes_steps_as_small_as_by_default(digits: DataSet) -> None:
    stored = RunConfig(optimizer="sgd", loss_reduction="sum", batch_size=10).resolved(digits)
    assert stored.learning_rate == pytest.approx(0.08)  # the 0.8 of a mean, over ten samples
    assert stored.changed(batch_size=40).peak_rate(50) == pytest.approx(0.02)
    assert stored.changed(batch_size="full").peak_rate(50) == pytest.approx(0.016)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resolved_run_can_be_changed_to_every_optimizer(digits: DataSet, optimizer: str) -> None:
    for first in ("adam", "muon", "schedule-free-adamw"):
        resolved = RunConfig(optimizer=first, hidden=(5,)).resolved(digits)
        assert resolved.changed(optimizer=optimizer).resolved(digits) == (
            RunConfig(optimizer=optimizer, hidden=(5,)).resolved(digits)
        )


def test_a_change_to_what_does_not_exist_is_refused() -> None:
    for change in ({"optimizer": "best"}, {"loss": "hinge"}, {"schedule": "up"}):
        with pytest.raises(ConfigError, match="there is no"):
            RunConfig().changed(**change)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"activation": "step"}, "there is no activation 'step'; choose from sigmoid, relu"),
        ({"output_activation": "max"}, "there is no output activation 'max'"),
        ({"loss": "hinge"}, "there is no loss 'hinge'"),
        ({"optimizer": "best"}, "there is no optimizer 'best'; choose from sgd, momentum"),
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
        ({"l2": -1.0}, "l2 must be a finite number"),
        ({"clip_norm": 0.0}, "clip_norm must be a finite number"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a finite number"),
        ({"label_smoothing": -0.1, "loss": "mse"}, "label_smoothing must be a finite number"),
        (
            {"input_range": (0.5,)},
            r"input_range must be two numbers, the lower one first, with a finite difference, not \(0.5,\)",
        ),
        ({"input_range": (0.0, 0.5, 1.0)}, "input_range must be two numbers"),
        ({"input_range": [0.0, 1.0]}, "input_range must be two numbers"),
        ({"input_range": (1.0, 0.0)}, r"the lower one first, .*, not \(1.0, 0.0\)"),
        ({"input_range": (0.5, 0.5)}, "the lower one first"),
        ({"input_range": (-1e308, 1e308)}, "with a finite difference"),
        ({"input_range": (0.0, float("inf"))}, "input_range must be a finite number, not inf"),
        ({"input_range": ("0", "1")}, "input_range must be a finite number, not '0'"),
        ({"bias_initializer": "auto"}, "there is no bias initializer 'auto'; choose from zeros, normal"),
        ({"bias_initializer": "he-normal:2"}, "there is no bias initializer 'he-normal:2'"),
        ({"bias_initializer": "normal:wide"}, "the deviation in 'normal:wide' is no number"),
        (
            {"optimizer": "momentum", "momentum_form": "total"},
            "momentum_form of momentum must be classical or sum or mean, not 'total'",
        ),
        (
            {"optimizer": "nesterov", "momentum_form": "mean"},
            "momentum_form of nesterov must be classical or sum, not 'mean'",
        ),
        ({"momentum_form": "sum"}, "momentum_form is a setting of the optimizer momentum or nesterov, not of adam"),
        ({"epsilon_in_root": False}, "epsilon_in_root is a setting of the optimizer rmsprop, not of adam"),
        ({"optimizer": "rmsprop", "epsilon_in_root": 1}, "epsilon_in_root is 1; give True or False"),
        ({"class_weights": "even"}, '"balanced" or a number for each class'),
        ({"warmup": -1}, "warmup must be a whole number"),
        ({"warmup": 5}, "onecycle brings its own warm-up"),
        ({"reduce_on_plateau": 0}, "reduce_on_plateau must be a whole number of at least 1"),
        ({"reduce_on_plateau": 3, "schedule": "onecycle"}, "onecycle falls by itself"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
        ({"seed": 2**32}, "seed must be a whole number of 0 to 4,294,967,295, not 4294967296"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:
        assert RunConfig(**values)  # a deviation left out is the default one
        return
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(**values)


NUMBERS = [name for name, field in FIELDS.items() if re.search("int|float", str(field.type))]


@pytest.mark.parametrize("value", [10**400, -(10**400)])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_all_measure_gets_one_short_sentence(digits: DataSet, name: str, value: int) -> None:
    several = {"hidden": [value], "class_weights": [value] * 10, "input_range": [0, value]}
    needs = {"momentum": {"optimizer": "momentum"}, "rho": {"optimizer": "rmsprop"}, "beta3": {"optimizer": "adan"}}
    values = {"schedule": "constant", name: several.get(name, value)} | needs.get(name, {})
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(values).make_training(digits)
    assert len(str(caught.value)) < 220


def test_the_largest_seed_is_that_of_the_command_line() -> None:
    kind = OPTIONS["seed"].type
    assert isinstance(kind, click.IntRange)
    assert RunConfig(seed=4294967295).seed == kind.max == 4294967295


@pytest.mark.parametrize(
    ("optimizer", "setting"),
    [(rule, name) for rule in SETTINGS for name in SETTING_NAMES if name not in SETTINGS[rule]],
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
        ({"reduce_on_plateau": 2, "validate": False}, "nothing is validated in this run"),
        ({"frozen": ("dense_9",)}, "dense_1, dense_2, dense_3"),
        ({"class_weights": (1.0, 2.0)}, "class"),
        ({"schedule": "cosine", "warmup": 500}, "a warm-up of 500 steps leaves nothing of a run of 5: take fewer"),
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
        at_end = {"constant": 0.5, "step": 0.005, "exponential": 0.005, "inverse-time": 0.05, "polynomial": 0.0,
                  "cosine": 0.0, "cosine-restarts": None, "onecycle": 0.00005}[schedule]  # fmt: skip
        if at_end is not None:
            assert rates[-1] == pytest.approx(at_end, abs=1e-12)


def rates_of(steps: int, **values: Any) -> list[float]:
    schedule = RunConfig(learning_rate=1.0, **values).make_optimizer(steps, 1000).schedule
    return [schedule(k) for k in range(steps)]


def test_restarts_are_three_cosines_each_twice_as_long() -> None:
    rates = rates_of(70, schedule="cosine-restarts")
    assert [k for k, rate in enumerate(rates) if rate == 1.0] == [0, 10, 30]
    assert [k for k, rate in enumerate(rates) if rate == 0.0] == [9, 29, 69]
    assert rates_of(60, schedule="cosine-restarts")[-1] < 0.1  # not the beginning of a fourth


def test_a_warmup_comes_before_the_schedule() -> None:
    line = rates_of(14, schedule="polynomial", warmup=3)
    assert line[:4] == [0.25, 0.5, 0.75, 1.0]
    assert line[3:] == [pytest.approx(1 - k / 10) for k in range(11)]
    assert rates_of(6, schedule="constant", warmup=4) == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    assert rates_of(40, schedule="cosine")[:3] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]  # a twentieth
    assert rates_of(40, schedule="cosine", warmup=0)[0] == 1.0


def test_a_schedule_free_optimizer_warms_up_and_stays() -> None:
    rates = rates_of(40, optimizer="schedule-free-adamw")
    assert rates == [pytest.approx(1 / 3), pytest.approx(2 / 3), *[1.0] * 38]
    assert rates_of(40, optimizer="schedule-free-adamw", warmup=0) == [1.0] * 40
    assert rates_of(40, optimizer="schedule-free-adamw", schedule="onecycle") == rates_of(40)


def test_a_plateau_lowers_the_rate(digits: DataSet) -> None:
    config = RunConfig(reduce_on_plateau=1, optimizer="sgd", learning_rate=1e-12, epochs=4, batch_size=10)
    run = config.make_training(digits)
    result = config.follow(run)
    assert config.schedule_name == "constant"
    assert result.history["learning_rate"] == pytest.approx([1e-12, 1e-12, 1e-13, 1e-14])  # nothing ever gets better


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


@pytest.mark.no_cover
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
    assert list(LEARNING_RATES) == list(SETTINGS) == list(OPTIMIZERS)
    assert {name for settings in SETTINGS.values() for name in settings} == set(SETTING_NAMES)
    assert set(SETTING_NAMES) | set(COMMON) <= set(FIELDS)
    assert set(OUTPUTS) == set(LOSSES)
    assert set(OUTPUTS.values()) <= set(ACTIVATIONS)
    assert set(RECTIFIERS) <= set(ACTIVATIONS)
    for name, rule in OPTIMIZERS.items():
        assert {ARGUMENTS.get(setting, setting) for setting in SETTINGS[name]} <= set(
            inspect.signature(rule).parameters
        )
    for name, forms in FORMS.items():
        assert forms == get_args(get_type_hints(OPTIMIZERS[name].__init__)["form"])


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


def test_every_value_has_an_option_with_the_same_default() -> None:
    assert set(OPTIONS) == set(FIELDS) | {
        "file", "doctor", "checkpoint_every", "keep_checkpoints", "resume", "out", "force", "quiet", "verbose", "debug",
    }  # fmt: skip
    given = command.make_context("train", [], **CONTEXT).params
    for name, field in FIELDS.items():
        assert given[name] == field.default, name


def test_the_help_names_every_option_every_choice_and_every_default() -> None:
    text = " ".join(command.get_help(click.Context(command, **CONTEXT)).split())
    shown = {}
    for name, option in OPTIONS.items():
        record = option.get_help_record(click.Context(command, **CONTEXT))
        assert record is not None
        for flag in (*option.opts, *option.secondary_opts):
            assert f"{flag} " in text
        if isinstance(option.type, click.Choice):
            assert f"[{'|'.join(option.type.choices)}]" in text
        found = re.search(r"\[default: ([^]]*?)(; [^]]*[<>][^]]*)?\]", record[1])
        if found:
            shown[name] = found[1]
    for name, field in FIELDS.items():
        if field.default is not None and field.type != "bool":
            value = field.default
            written = ",".join(map(str, value)) or '""' if isinstance(value, tuple) else str(value)
            assert shown[name] == written, name
    assert shown["learning_rate"] == ", ".join(f"{rule} {rate:g}" for rule, rate in LEARNING_RATES.items())
    for rule, settings in SETTINGS.items():
        for name in (*settings, "l2", "weight_decay"):
            usual, _, others = shown[name].partition("; ")
            special = dict(part.split(" ") for part in others.split(", ") if part)
            default = getattr(OPTIMIZERS[rule](), ARGUMENTS.get(name, name))
            if isinstance(default, float):
                assert float(special.get(rule, usual)) == default, (rule, name)
            else:
                assert shown[name] == {"classical": "classical", False: "outside"}[default], (rule, name)
    without = {"max_steps", "class_weights", "clip_value", "clip_norm", "reduce_on_plateau"}
    assert set(shown) == set(FIELDS) - without | {"doctor", "keep_checkpoints", "out"}
    for name in INITIALIZERS:
        start, _, end = name.rpartition("-")
        assert start in text, name
        assert end in text, name


@pytest.mark.parametrize("setting", SETTING_NAMES)
def test_the_help_says_whose_a_setting_is(setting: str) -> None:
    text = OPTIONS[setting].help or ""
    owners = {rule for rule, settings in SETTINGS.items() if setting in settings}
    text = text.partition("[default")[0]
    if "all but" in text:
        owners = set(OPTIMIZERS) - owners
    family = {"adam", "adamax", "nadam", "amsgrad", "adamw", "radam", "schedule-free-adamw"}
    named = {rule for rule in OPTIMIZERS if re.search(rf"\b{rule}\b", text)}
    assert named | (family if "family" in text else set()) == owners


def test_a_sum_over_the_batch_takes_smaller_steps_by_default() -> None:
    mean, total = RunConfig(optimizer="sgd"), RunConfig(optimizer="sgd", loss_reduction="sum")
    assert total.peak_rate(55_000) == mean.peak_rate(55_000) / 200
    assert total.peak_rate(10) == mean.peak_rate(10) / 10  # fewer samples than a batch
    whole = RunConfig(optimizer="sgd", loss_reduction="sum", batch_size="full")
    assert whole.peak_rate(55_000) == mean.peak_rate(55_000) / 55_000
    assert RunConfig(loss_reduction="sum").peak_rate(55_000) == RunConfig().peak_rate(55_000)  # adam sees no scale
    assert RunConfig(optimizer="sgd", loss_reduction="sum", learning_rate=0.3).peak_rate(55_000) == 0.3


def test_a_resolved_run_names_its_threads_and_finds_its_data_from_elsewhere(
    idx_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(idx_folder.parent)
    config = RunConfig(data=idx_folder.name, batch_size=300, hidden=(3000,))  # a large step
    with threadpool_limits(1, user_api="blas"):
        resolved = config.resolved(config.load_data())
    assert resolved.threads == 1
    monkeypatch.chdir(tmp_path)
    again = RunConfig.from_dict(resolved.to_dict()).load_data()
    np.testing.assert_array_equal(again.train.features, load(idx_folder).train.features)


@pytest.mark.parametrize("classes", [2, 20])
def test_mnist_has_ten_classes(classes):
    with pytest.raises(ConfigError, match=f"mnist has 10, not {classes}"):
        RunConfig(classes=classes).load_data()
