"""``glassnet playground``: what it says before it serves, and the page that it writes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Glassnet
from playground_server import Playground

from glassnet import (
    Dense,
    Flatten,
    MeanSquaredError,
    Model,
    Network,
    Preprocessing,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    save_model,
)
from glassnet.losses import Loss

pytestmark = pytest.mark.usefixtures("in_tmp")


def test_a_page_is_exported(glassnet: Glassnet) -> None:
    status, out, err = glassnet("playground", "--export", "page.html")
    assert (status, err) == (0, "")
    assert out.startswith("the model that comes with glassnet")
    assert out.endswith("open page.html in any browser\n")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "import {" not in page
    assert "\nexport " not in page
    assert 'src="' not in page
    assert 'href="' not in page
    model = Model(Network([Flatten(), Dense(10), Softmax()], (28, 28)), Preprocessing(), None, SoftmaxCrossEntropy())
    save_model(model, "own.safetensors")
    assert glassnet("playground", "--export", "own.html", "--model", "own.safetensors")[0] == 0
    assert len(Path("own.html").read_text(encoding="utf-8")) < len(page)
    status, _, err = glassnet("playground", "--export", "page.html", "--model", "own.safetensors")
    assert (status, err.count("--force")) == (2, 1)
    assert Path("page.html").read_text(encoding="utf-8") == page
    assert glassnet("playground", "--export", "page.html", "--model", "own.safetensors", "--force")[0] == 0
    assert Path("page.html").read_text(encoding="utf-8") == Path("own.html").read_text(encoding="utf-8")


def test_what_makes_no_sense_is_refused(glassnet: Glassnet) -> None:
    assert "--model is for --export" in glassnet("playground", "--model", "x.safetensors")[2]
    status, _, err = glassnet("playground", "--export", "nowhere/page.html")
    assert (status, "the folder nowhere does not exist" in err) == (1, True)
    assert "there is no such model file" in glassnet("playground", "--export", "a.html", "--model", "no.safetensors")[2]


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (Network([Flatten(), Dense(10), Softmax()], (8, 8)), SoftmaxCrossEntropy()),
        (Network([Flatten(), Dense(10), Softmax()], (28, 28), dtype="float64"), SoftmaxCrossEntropy()),
        (Network([Flatten(), Dense(1), Sigmoid()], (28, 28)), SigmoidCrossEntropy()),
        (Network([Flatten(), Dense(3)], (28, 28)), MeanSquaredError()),
    ],
    ids=["8 x 8", "float64", "one output", "regression"],
)
def test_a_page_that_could_not_work_is_not_written(glassnet: Glassnet, network: Network, loss: Loss) -> None:
    save_model(Model(network, Preprocessing(), None, loss), "own.safetensors")
    status, _, err = glassnet("playground", "--export", "own.html", "--model", "own.safetensors")
    assert status == 2
    assert "own.safetensors: a page takes float32 networks that read pictures of 28 x 28 pixels" in err
    assert err.count("\n") == 1
    assert not Path("own.html").exists()


def test_a_browser_leaves_the_port_of_http_out() -> None:
    from glassnet.cli.playground import _hosts

    assert _hosts(8420) == {"127.0.0.1:8420", "localhost:8420", "[::1]:8420"}
    assert _hosts(80) >= {"127.0.0.1", "localhost", "[::1]", "127.0.0.1:80"}


def test_what_can_be_no_host_is_said(glassnet: Glassnet) -> None:
    status, _, err = glassnet("playground", "--no-browser", "--host", "é" * 300)
    assert status == 2
    assert "can not be listened on" in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_said(glassnet: Glassnet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = glassnet("playground", "--no-browser", "--port", port)
    assert status == 2
    assert f"127.0.0.1:{port} can not be listened on" in err
    assert "choose another --port" in err


def test_without_its_libraries_it_says_what_to_install(glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, _, err = glassnet("playground", "--no-browser")
    assert status == 2
    assert 'the playground needs uvicorn: pip install "glassnet[web]".' in err


def test_ctrl_c_ends_it_in_peace(tmp_path: Path) -> None:
    with Playground(tmp_path) as server:
        assert server.line.endswith("(Ctrl-C ends it)\n")
        assert server.get("/api/facts")[0] == 200
    assert server.process.returncode == 0


def test_an_address_for_others_is_warned_of_and_takes_any_host(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glassnet", "playground", "--no-browser", "--port", "0", "--host", "0.0.0.0"]
    process: Any = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        assert "everybody who reaches 0.0.0.0:" in lines[0]
        server = Playground.__new__(Playground)
        server.port = int(lines[1].rpartition(":")[2].split("/")[0])
        facts = server.request(
            "GET", "/api/facts", headers={"Host": "my-computer:80", "Origin": "http://my-computer:80"}
        )
        assert facts[0] == 200
        assert json.loads(facts[2])["alone"] is False
        assert server.request("GET", "/api/facts", headers={"Host": "a:80", "Origin": "http://b:80"})[0] == 403
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
