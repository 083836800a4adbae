"""The playground's server: what it answers, what it refuses, and that training goes on whatever is sent."""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playground_server import PATIENCE, Page, Playground, is_at_rest, picture, signal_trainers

from glassnet import load
from glassnet.errors import ConfigError, GlassnetError, WorkerDiedError
from glassnet.optim import OPTIMIZERS
from glassnet.web import messages, session, worker
from glassnet.web.advice import advice
from glassnet.web.export import joined
from glassnet.web.racer import MOST_POINTS, POINT_EVERY, Racer, nearest

SMALL = {"hidden": [8]}
Config = dict[str, Any]


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A server for all tests of this file: to start one takes a second."""
    with Playground(tmp_path_factory.mktemp("playground")) as server:
        yield server


@pytest.fixture(scope="module")
def page(playground: Playground) -> Page:
    """A session for all tests that do not need one of their own."""
    return Page(playground)


# What may be asked.


def test_facts_say_what_there_is(playground: Playground) -> None:
    status, facts = playground.get("/api/facts")
    assert status == 200
    assert set(facts["optimizers"]) == set(OPTIMIZERS)
    settings = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08}
    assert facts["optimizers"]["adam"] == {"rate": 0.008, "settings": settings, "choices": {}}
    assert facts["optimizers"]["nesterov"]["choices"] == {"momentum_form": ["classical", "sum"]}
    assert facts["default"] == messages.DEFAULT
    assert facts["samples"] == {"train": 55_000, "validation": 5_000, "test": 10_000}
    assert facts["classes"] == list("0123456789")
    assert facts["alone"] is True


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"hidden": [1000]}, "a layer's width must be a whole number of 1 to 512, not 1000"),
        ({"hidden": [8] * 7}, "hidden must be a list of at most 6"),
        ({"hidden": "8"}, "hidden must be a list"),
        ({"hidden": [True]}, "a layer's width"),
        ({"hidden": [512, 512, 512]}, None),
        ({"hidden": [512, 512, 512, 512]}, "are more than 1,000,000: take narrower layers"),
        ({"activation": "softmax"}, "there is no activation 'softmax'; choose from sigmoid"),
        ({"activation": ["relu"]}, "there is no activation"),
        ({"initializer": "normal:0.1"}, "there is no initializer 'normal:0.1'"),
        ({"optimizer": "sgd", "settings": {"beta1": 0.9}}, "settings of sgd has no 'beta1'"),
        ({"settings": {"beta1": "0.9"}}, "beta1 must be like 0.9"),
        ({"settings": {"beta1": True}}, "beta1 must be like 0.9"),
        ({"settings": {"beta1": 1.5}}, "beta1"),
        ({"optimizer": "rmsprop", "settings": {"epsilon_in_root": True}}, None),
        ({"optimizer": "rmsprop", "settings": {"epsilon_in_root": 1}}, "epsilon_in_root must be like False"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0 and at most 100"),
        ({"learning_rate": 1e9}, "learning_rate must be a number above 0 and at most 100"),
        ({"learning_rate": "1"}, "learning_rate must be a number"),
        pytest.param({"learning_rate": 10**400}, "learning_rate must be a number above 0 and at most 100", id="huge"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 to 55,000"),
        ({"batch_size": "all"}, "batch_size must be a whole number"),
        ({"batch_size": "full"}, None),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**64}, "seed must be a whole number"),
        ({"data": "/etc/passwd"}, "a configuration has no 'data'"),
        ([], "a configuration must be an object"),
    ],
    ids=str,
)
def test_configurations_are_bounded(values: Any, what: str | None) -> None:
    if what is None:
        assert messages.read_config(values).schedule == "constant"
    else:
        with pytest.raises(ConfigError) as refused:
            messages.read_config(values)
        assert what in str(refused.value)


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("race", {"configs": []}, "at least one"),
        ("race", {"configs": [SMALL] * 5}, "at most 4"),
        ("race", {"configs": [SMALL], "steps": [1, 2]}, "1 configurations, but 2 steps"),
        ("race", {"configs": [SMALL], "steps": [-1]}, "a step must be a whole number"),
        ("race", {"configs": [SMALL], "command": "rm"}, "a race has no 'command'"),
        ("race", {"configs": {"0": SMALL}}, "configs must be a list"),
        ("run", {"action": "destroy"}, "there is no action 'destroy'; choose from play"),
        ("run", {}, "there is no action None"),
        ("look", {"racer": 9}, "racer must be a whole number"),
        ("look", {"racer": "0"}, "racer must be a whole number"),
        ("nearest", {"pixels": "no"}, "pixels must be 784 bytes"),
        ("nearest", {"pixels": "A" * 2000}, "pixels must be 784 bytes"),
        ("nearest", {"pixels": 5}, "pixels must be 784 bytes"),
        ("teach", {"racer": 0, "pixels": picture(), "target": 10}, "target must be a whole number of 0 to 9"),
        ("teach", {"racer": 0, "pixels": picture()}, "target must be a whole number"),
        ("trace", {"racer": 0, "pixels": picture(), "target": None}, "target must be a whole number"),
        ("trace", {"racer": 0, "pixels": picture(), "target": 1, "file": "/etc/passwd"}, "has no 'file'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_messages_that_make_no_sense_are_refused_in_one_sentence(page: Page, name: str, values: Any, what: str) -> None:
    answer = page.ask(name, values, status=400)
    assert what in answer["error"]
    assert set(answer) == {"error"}
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 600


JSON = {"Content-Type": "application/json", "X-Glassnet": "1"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/api/session", {"Content-Type": "application/json"}, b"{}", 403),
        ("POST", "/api/session", {"X-Glassnet": "1", "Content-Type": "text/plain"}, b"{}", 415),
        ("POST", "/api/session", JSON | {"Origin": "http://evil.example"}, b"{}", 403),
        ("POST", "/api/session", JSON | {"Origin": "null"}, b"{}", 403),
        ("POST", "/api/session", JSON | {"Host": "evil.example"}, b"{}", 421),
        ("GET", "/", {"Host": "evil.example:80"}, None, 421),
        ("GET", "/api/facts", {"Origin": "https://127.0.0.1"}, None, 403),
        ("DELETE", "/api/session", JSON, None, 405),
        ("OPTIONS", "/api/session", {"Origin": "http://evil.example"}, None, 403),
        ("POST", "/api/session", JSON, b"{", 400),
        ("POST", "/api/session", JSON, b"[]", 400),
        ("POST", "/api/session", JSON, b'"text"', 400),
        ("POST", "/api/session", JSON, b'{"a": NaN}', 400),
        ("POST", "/api/session", JSON, b"[" * 30_000, 400),
        ("POST", "/api/session", JSON, b"\xff\xfe", 400),
        ("POST", "/api/session", JSON, b" " * 70_000, 413),
        ("GET", "/api/session/none/events", {}, None, 404),
        ("GET", "/api/session/none/weights", {}, None, 404),
        ("POST", "/api/session/none/run", JSON, b'{"action": "play"}', 404),
        ("POST", "/api/facts", JSON, b"{}", 405),
        ("GET", "/static/../app.py", {}, None, 404),
        ("GET", "/static/..%2fapp.py", {}, None, 404),
        ("GET", "/static/%2e%2e/app.py", {}, None, 404),
        ("GET", "/static/../../../../etc/passwd", {}, None, 404),
        ("GET", "/nowhere", {}, None, 404),
    ],
    ids=str,
)
def test_strangers_and_nonsense_are_refused(
    playground: Playground, method: str, path: str, headers: dict[str, str], body: bytes | None, status: int
) -> None:
    found, answered, content = playground.request(method, path, body, headers)
    assert found == status, content
    assert "error" in json.loads(content)
    assert answered["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answered["content-security-policy"]
    assert "access-control-allow-origin" not in answered


def test_a_body_that_is_longer_than_it_said_is_not_read(playground: Playground) -> None:
    with socket.create_connection(("127.0.0.1", playground.port), timeout=20) as raw:
        head = (
            f"POST /api/session HTTP/1.1\r\nHost: {playground.host}\r\nX-Glassnet: 1\r\n"
            "Content-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        raw.sendall(head.encode())
        for _ in range(40):
            try:
                raw.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
            except OSError:
                break  # it has hung up
        assert b"413" in raw.recv(4096)


def test_garbage_on_the_line_does_no_harm(playground: Playground, page: Page) -> None:
    for garbage in (b"\x00\xff" * 500, b"GET / HTTP/9.9\r\n\r\n", b"POST /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", playground.port), timeout=20) as raw:
            raw.sendall(garbage)
    assert playground.get("/api/facts")[0] == 200


def test_training_goes_on_while_nonsense_comes(playground: Playground) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    page.ask("run", {"action": "play"})
    before = page.follow(lambda kind, what: kind == "state" and what["playing"])[-1][1]["racers"][0]["step"]
    for _ in range(10):
        page.ask("race", {"configs": [{"hidden": [10**9]}]}, status=400)
        playground.request("POST", page.path + "run", b"{" * 1000, JSON)
    page.follow(lambda kind, what: kind == "state" and what["racers"][0]["step"] > before + 10)
    page.ask("run", {"action": "pause"})
    assert page.rest()["racers"][0]["diverged"] is None


def test_there_are_only_so_many_sessions_and_those_that_nobody_follows_end_first(tmp_path: Path) -> None:
    with Playground(tmp_path) as own:
        pages = [Page(own) for _ in range(6)]  # more than there may be: the oldest of them are over
        status, answer = own.post(pages[0].path + "run", {"action": "play"})
        assert (status, answer["error"]) == (404, "this session is over: load the page again.")
        assert pages[-1].ask("run", {"action": "play"}, status=400)["error"].startswith("there is no race yet")


# What it does.


def test_the_same_steps_give_the_same_numbers(playground: Playground) -> None:
    page = Page(playground)
    configs = [SMALL | {"seed": 3}, SMALL | {"optimizer": "momentum", "batch_size": 64}]
    page.ask("race", {"configs": configs})
    for action in ("step", "epoch", "step", "step"):
        page.ask("run", {"action": action})
        page.rest()
    once = page.rest()
    assert [racer["step"] for racer in once["racers"]] == [277, 862]
    assert all(racer["test_accuracy"] > 0.7 for racer in once["racers"])
    curves = page.curves()
    page.ask("race", {"configs": configs, "steps": [277, 862]})
    again = page.rest()
    assert comparable(again) == comparable(once)
    assert page.curves() == curves


def comparable(state: Any) -> Any:
    return [{name: value for name, value in racer.items() if name != "steps_per_second"} for racer in state["racers"]]


def test_play_pause_and_reset(playground: Playground) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    page.ask("run", {"action": "play"})
    page.follow(lambda kind, what: kind == "state" and what["racers"] != [] and what["racers"][0]["step"] > 30)
    page.ask("run", {"action": "pause"})
    state = page.rest()
    step = state["racers"][0]["step"]
    assert step > 30
    assert state["racers"][0]["steps_per_second"] == 0.0
    time.sleep(0.3)
    assert page.rest()["racers"][0]["step"] == step
    page.ask("run", {"action": "reset"})
    assert page.rest()["racers"][0]["step"] == 0
    assert len(page.curves()[0]) == 1


def test_a_race_that_nobody_watches_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ALONE", 0.1)

    async def leave() -> dict[str, Any]:
        race = session.Session(asyncio.get_running_loop())
        try:
            await race.ask("race", configs=[messages.plain(SMALL)], steps=[0])
            async with race.listening():
                await race.ask("run", action="play")
                while not race.state["playing"]:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
                assert race.state["playing"]
            while race.state["playing"]:
                await asyncio.sleep(0.01)
            return race.state
        finally:
            race.close()

    assert asyncio.run(asyncio.wait_for(leave(), 60))["racers"][0]["step"] > 0


def test_a_killed_process_is_replaced_and_trains_to_where_it_was(playground: Playground) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    page.ask("run", {"action": "epoch"})
    page.rest()
    page.ask("teach", {"racer": 0, "pixels": picture(), "target": 4})
    page.ask("run", {"action": "step"})
    before, weights = page.rest(), playground.request("GET", page.path + "weights")
    heard: queue.Queue[str] = queue.Queue()
    listening = threading.Thread(target=page.follow, args=(lambda kind, _: heard.put(kind) or kind == "lost",))
    listening.start()
    heard.get(timeout=PATIENCE)
    signal_trainers(playground)
    listening.join(PATIENCE)
    assert "lost" in heard.queue
    after = page.follow(lambda kind, what: is_at_rest(kind, what) and what["racers"][0]["step"] == 276)[-1][1]
    assert comparable(after) == comparable(before)
    assert playground.request("GET", page.path + "weights")[2] == weights[2]


def test_what_a_lost_process_was_asked_is_answered(playground: Playground) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    signal_trainers(playground, signal.SIGSTOP)
    connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=PATIENCE)
    with closing(connection):
        connection.request("POST", page.path + "look", json.dumps({"racer": 0}), JSON)
        for _ in range(3):
            playground.get("/api/facts")  # which is answered after what came before it was taken up
        signal_trainers(playground)
        answer = connection.getresponse()
        assert answer.status == 503
        assert json.load(answer) == {"error": "the training process was lost; it is started again."}


def test_a_race_that_nobody_ever_watched_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ALONE", 0.3)

    async def play() -> dict[str, Any]:
        race = session.Session(asyncio.get_running_loop())
        try:
            await race.ask("race", configs=[messages.plain(SMALL)], steps=[0])
            await race.ask("run", action="play")
            while race.state["playing"] or race.state["racers"][0]["step"] == 0:
                await asyncio.sleep(0.01)
            return race.state
        finally:
            race.close()

    assert asyncio.run(asyncio.wait_for(play(), 60))["racers"][0]["step"] > 0


def test_what_is_asked_of_a_race_that_ends_is_answered() -> None:
    async def ask() -> None:
        race = session.Session(asyncio.get_running_loop())
        asked = asyncio.ensure_future(race.ask("look", racer=0))
        await asyncio.sleep(0)
        race.close()
        with pytest.raises(WorkerDiedError, match="this race is over: load the page again"):
            await asked

    asyncio.run(asyncio.wait_for(ask(), 20))


def test_what_a_race_says_before_the_next_one_begins_is_not_of_the_next_one() -> None:
    async def race() -> tuple[list[int], list[list[Any]]]:
        one = session.Session(asyncio.get_running_loop())
        try:
            await one.ask("race", configs=[messages.plain(SMALL)] * 2, steps=[3, 3])
            ordered = asyncio.ensure_future(one.ask("race", configs=[messages.plain(SMALL)], steps=[50]))
            await asyncio.sleep(0)  # the order is on its way
            late = {"playing": False, "busy": None, "racers": [{"step": 3}, {"step": 3}]}
            one._hear(one._orders, {"points": {"racer": 1, "points": [[3]], "from": 1}})
            one._hear(one._orders, {"state": late, "lessons": []})
            await ordered
            assert one.racers == 1
            return list(one._steps), [list(curve) for curve in one._points]
        finally:
            one.close()

    steps, points = asyncio.run(asyncio.wait_for(race(), 60))
    assert steps == [50]  # to which another process would train if this one were lost
    assert [len(curve) for curve in points] == [1]


def test_a_race_that_is_refused_leaves_the_one_before_it() -> None:
    async def race() -> list[Any]:
        one = session.Session(asyncio.get_running_loop())
        try:
            await one.ask("race", configs=[messages.plain(SMALL)] * 2, steps=[0, 0])
            with pytest.raises(GlassnetError, match="width must be a whole number"):
                await one.ask("race", configs=[messages.plain(SMALL) | {"hidden": [0]}], steps=[0])
            assert one.racers == 2
            return one._points
        finally:
            one.close()

    assert [len(curve) for curve in asyncio.run(asyncio.wait_for(race(), 60))] == [1, 1]


def test_weights_and_snapshot(playground: Playground, tmp_path: Path) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    status, headers, content = playground.request("GET", page.path + "weights?racer=0")
    assert (status, headers["x-step"], headers["content-type"]) == (200, "0", "application/octet-stream")
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    from glassnet import load_model

    assert load_model(path).network.layout.size == 784 * 8 + 8 + 8 * 10 + 10
    status, headers, content = playground.request("GET", page.path + "snapshot?racer=0")
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="glassnet-step-0.html"'
    assert content.startswith(b"<!DOCTYPE html>")
    assert playground.request("GET", page.path + "weights?racer=7")[0] == 400
    assert playground.request("GET", page.path + "weights?racer=../x")[0] == 400


def test_a_trace_and_the_nearest_images_come_as_plain_values(playground: Playground) -> None:
    page = Page(playground)
    page.ask("race", {"configs": [SMALL]})
    found = page.ask("trace", {"racer": 0, "pixels": picture(), "target": 7})
    names = [entry["name"] for entry in found["entries"]]
    assert names[:4] == ["x", "W1", "b1", "z1"]
    assert "theta" not in names
    entry = found["entries"][names.index("dW1")]
    assert (entry["shape"], entry["letters"], entry["part"]) == ([784, 8], "I, O", "backward")
    assert entry["equations"][0]["mathml"].startswith("<math")
    assert entry["sources"][0]["where"].startswith("layers/basic.py:")
    assert page.ask("nearest", {"pixels": picture(3)})["images"][0]["index"] == 3


# Its parts, in this process.


@pytest.fixture(scope="module")
def data() -> Any:
    return load("mnist")


@pytest.mark.parametrize("name", ["adam", "adagrad", "schedule-free-adamw", "muon", "nadam"])
def test_a_taught_step_is_the_step_that_is_traced(data: Any, name: str) -> None:
    racer = Racer(0, SMALL | {"optimizer": name, "seed": 1}, data)
    for _ in range(8):
        racer.advance(30)
    assert racer.step == 30
    pixels = data.test.features[0].tobytes()
    traced = racer.trace(pixels, 4)
    assert (traced.t, traced["x"].value.shape) == (31, (1, 28, 28))
    state = {key: np.copy(value) for key, value in racer.run.optimizer_in_order().state().items()}
    answer = racer.teach(pixels, 4)
    racer.run.publish()
    np.testing.assert_array_equal(racer.run.network.theta, traced.after.network.theta)
    np.testing.assert_allclose(answer["after"], traced.after.predict_proba(messages.picture(pixels))[0])
    taught = racer.run.optimizer_in_order()
    assert taught.steps == int(state["steps"]) + 1
    racer.advance(31)
    assert racer.step == 31
    assert racer.diverged is None
    racer.close()


def test_the_optimizer_in_order_is_that_of_a_run_without_sorted_columns(data: Any) -> None:
    racer = Racer(0, SMALL | {"optimizer": "adam"}, data)
    racer.advance(5)
    run = racer.run
    assert run.plan.columns is not None
    whole = run.optimizer_in_order()
    moments = whole.moments()["m"]
    assert len(moments) == run.network.layout.size
    slot = run.network.layout.slots[-1]
    by_pixel = np.abs(moments[slot.slice].reshape(slot.param.shape)).sum(axis=1)
    lit = data.train.features[:1000].reshape(1000, -1).any(axis=0)
    assert not by_pixel[~data.train.features.reshape(len(data.train), -1).any(axis=0)].any()
    assert by_pixel[lit].any()
    before = run.optimizer.state()
    run.take_over(whole)
    after = run.optimizer.state()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    racer.close()


def test_points_are_taken_by_samples_and_thinned_when_they_are_many(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassnet.web.racer.MOST_POINTS", 6)
    racer = Racer(0, SMALL | {"batch_size": 1000}, data)
    while racer.step < 60:
        racer.advance(60)
    steps = [point[0] for point in racer.points]
    assert len(steps) <= 6
    assert steps[0] == 0
    assert racer.points_version > 0
    assert (POINT_EVERY, MOST_POINTS) == (5000, 2000)
    racer.close()


def test_a_racer_that_diverges_says_so_and_rests(data: Any) -> None:
    racer = Racer(0, SMALL | {"optimizer": "sgd", "learning_rate": 100.0, "activation": "identity"}, data)
    for _ in range(400):
        if racer.diverged is not None:
            break
        racer.advance(2000)
    assert racer.diverged is not None
    assert "diverged at step" in racer.diverged
    assert racer.state()["train_loss"] is None
    assert racer.look()["advice"] == [racer.diverged]
    json.dumps(racer.state(), allow_nan=False)


def test_what_is_looked_at_has_no_holes(data: Any) -> None:
    racer = Racer(0, {"hidden": [12, 9], "activation": "sigmoid"}, data)
    racer.advance(20)
    looked = racer.look()
    json.dumps(looked, allow_nan=False)
    assert [layer["name"] for layer in looked["layers"]] == ["sigmoid_1", "sigmoid_2"]
    first = looked["layers"][0]
    assert (first["units"], sum(first["activation"]["counts"]), len(first["activation"]["edges"])) == (12, 500 * 12, 21)
    racer.close()


def test_a_look_at_signals_that_hardly_differ(data: Any) -> None:
    racer = Racer(0, {"hidden": [1] * 6, "activation": "sigmoid", "initializer": "normal"}, data)
    assert [sum(layer["activation"]["counts"]) for layer in racer.look()["layers"]] == [500] * 6
    racer.close()


def test_what_is_not_finite_is_neither_traced_nor_taught(data: Any) -> None:
    pixels = data.test.features[0].tobytes()
    racer = Racer(0, SMALL | {"optimizer": "sgd", "learning_rate": 100.0, "activation": "identity"}, data)
    while racer.step < 7:
        racer.advance(7)
    assert racer.trace(pixels, 7).loss > 1e30
    theta = racer.run.network.theta.copy()
    with pytest.raises(ConfigError, match="numbers that are not finite: take a lower learning rate"):
        racer.teach(pixels, 7)
    assert np.array_equal(racer.run.network.theta, theta)
    while racer.step < 12:
        racer.advance(12)
    assert racer.diverged is None  # which is looked at later
    for ask in (racer.trace, racer.teach):
        with pytest.raises(ConfigError, match="no longer finite: reset the race with a lower learning rate"):
            ask(pixels, 7)
    assert racer.lessons == []
    racer.close()


def test_nearest_images(data: Any) -> None:
    found = nearest(data, data.test.features[9].tobytes(), count=3)
    assert (found[0]["index"], found[0]["distance"]) == (9, 0.0)
    assert [one["distance"] for one in found] == sorted(one["distance"] for one in found)


LAYERS = [
    {"layer": "relu_1", "dead": 0.0, "saturated": 0.0, "gradient_rms": 1e-3},
    {"layer": "relu_2", "dead": 0.0, "saturated": 0.0, "gradient_rms": 1e-3},
]
TANH = {"layer": "tanh_1", "saturated": 0.8}


@pytest.mark.parametrize(
    ("found", "points", "what"),
    [
        (LAYERS, [[0, 0, None, None, 2.3, 0.1]], None),
        ([LAYERS[0] | {"dead": 0.8}, LAYERS[1]], [], "In relu_1 80 % of the units are dead"),
        ([LAYERS[0] | {"dead": 0.6}, LAYERS[1] | {"saturated": 0.8}], [], None),  # as healthy rectifiers may be
        ([LAYERS[0], LAYERS[1] | TANH], [], "In tanh_1 80 % of the units are saturated"),
        ([LAYERS[0] | {"gradient_rms": 1e-7}, LAYERS[1]], [], "The gradient vanishes: what reaches relu_1 is 1.0e-04"),
        ([LAYERS[0] | {"gradient_rms": 1.0}, LAYERS[1]], [], "The gradient explodes on its way back"),
        (LAYERS, [[0, 0, None, None, loss, 0.1] for loss in (2.3, 4.0, 5.0, 6.0)], "the learning rate is too high"),
    ],
)
def test_advice(found: Any, points: Any, what: str | None) -> None:
    told = advice(found, points, None)
    assert told == [] if what is None else (len(told) == 1 and what in told[0])


def test_a_healthy_default_run_needs_no_advice(data: Any) -> None:
    racer = Racer(0, {}, data)
    while racer.step < 275:
        racer.advance(275)
    assert racer.look()["advice"] == []
    racer.test()
    assert (racer.test_accuracy or 0.0) > 0.93
    racer.close()


def test_modules_are_joined_without_their_imports() -> None:
    assert joined(["export async function f() {}\n", 'import { f } from "./f.js";\nexport const g = f;\n']) == (
        "async function f() {}\n\nconst g = f;\n"
    )


@pytest.fixture
def orders(data: Any) -> Iterator[Any]:
    """The end of the pipe to a worker, which is a thread here."""
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=worker.Worker(theirs, data).serve_until_closed)
    thread.start()
    yield ours
    ours.close()
    thread.join(10)
    assert not thread.is_alive()


def until_rest(orders: Any) -> list[Any]:
    """Return what a worker says until it has replayed."""
    said: list[Any] = []
    end = time.monotonic() + PATIENCE
    while not any("state" in one and one["state"]["busy"] is None for one in said):
        assert time.monotonic() < end
        assert orders.poll(PATIENCE)
        said.append(orders.recv())
    return said


def test_each_racer_is_taught_again_what_it_was_taught(orders: Any) -> None:
    pixels = load("mnist").test.features[0].tobytes()
    lessons = [messages.Lesson(0, 40, pixels, 1), messages.Lesson(1, 10, pixels, 2)]
    orders.send({"id": 1, "do": "race", "configs": [SMALL] * 2, "steps": [60, 60], "lessons": lessons})
    last = until_rest(orders)[-1]
    assert [racer["step"] for racer in last["state"]["racers"]] == [60, 60]
    assert last["lessons"] == lessons


def test_an_order_that_fails_does_not_end_the_race(
    orders: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders.send({"id": 1, "do": "race", "configs": [SMALL], "steps": [2], "lessons": []})
    until_rest(orders)
    monkeypatch.setattr(Racer, "look", lambda self: 1 / 0)
    for number, do in ((2, "look"), (3, "weights")):
        orders.send({"id": number, "do": do, "racer": 0})
        said: Any = {}
        while said.get("id") != number:
            assert orders.poll(PATIENCE)
            said = orders.recv()
        if do == "look":
            assert said["error"] == "this should not happen, please report it: ZeroDivisionError('division by zero')."
    assert said["result"][0] == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_worker_answers_and_ends_with_its_pipe() -> None:
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=worker.Worker(theirs, load("mnist")).serve_until_closed)
    thread.start()
    ours.send({"id": 1, "do": "race", "configs": [SMALL], "steps": [12], "lessons": []})
    said = until_rest(ours)
    assert said[-1]["state"]["racers"][0]["step"] == 12
    assert {"id": 1, "result": {"ok": True}} in said
    ours.send({"id": 2, "do": "look", "racer": 3})
    while said[-1].get("id") != 2:
        said.append(ours.recv())
    assert said[-1]["error"] == "there is no race yet: set one up first."
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
