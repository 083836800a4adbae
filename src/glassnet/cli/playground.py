"""``glassnet playground``: watch networks learn in a browser."""

from __future__ import annotations

import math
import socket
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path

import click

from glassnet.cli import options

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("playground", cls=options.Command, context_settings={"show_default": True})
@options.in_section("Server")("--port", type=click.IntRange(0, 65535), default=8420, help="0 takes any that is free.")
@options.in_section("Server")(
    "--host", default="127.0.0.1", help="Address to listen on; any other than this one lets others in."
)
@options.in_section("Server")("--browser/--no-browser", default=True, help="Open the page in a browser.")
@options.in_section("Snapshot")(
    "--export",
    type=click.Path(path_type=Path),
    help="Write a page of a trained network that works from disk, and serve nothing.",
)
@options.model_file("of the newest run, else the one that comes with glassnet; for --export")
@options.force
@options.debug
def command(
    port: int, host: str, browser: bool, export: Path | None, path: Path | None, force: bool, debug: bool
) -> int:
    """Open the playground: networks race, you draw and they answer, and each step can be walked through.

    It needs two small libraries, pip install "glassnet[web]", and listens on this machine alone. Ctrl-C ends it.

    \b
    Examples:
      glassnet playground
      glassnet playground --port 0 --no-browser
      glassnet playground --export my-network.html --model runs/latest/model.safetensors
    """
    from glassnet.cli.output import echo
    from glassnet.errors import ConfigError

    if path is not None and export is None:
        raise click.UsageError("--model is for --export.", click.get_current_context())
    if export is not None:
        return _export(export, path, force)
    try:
        import uvicorn

        from glassnet.web.app import make_app
    except ImportError as error:
        raise ConfigError(f'the playground needs {error.name}: pip install "glassnet[web]".') from None
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    if host not in LOOPBACK:
        echo(
            f"glassnet: everybody who reaches {host}:{port} can train here; 127.0.0.1 is for this machine alone.",
            err=True,
        )
    shown = f"[{host}]" if ":" in host else host
    hosts = _hosts(port) if host in LOOPBACK else None
    address = f"http://{shown}:{port}/"
    config = uvicorn.Config(make_app(hosts), log_level="error", timeout_graceful_shutdown=1, server_header=False)
    server = uvicorn.Server(config)
    echo(f"the playground is open at {address} (Ctrl-C ends it)")
    if browser:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    with suppress(KeyboardInterrupt):  # which is how it is meant to end
        server.run(sockets=[listening])
    return 0


def _hosts(port: int) -> set[str]:
    """Return what a browser on this machine writes into Host: the name alone where the port is that of HTTP."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ConfigError
        If the address is none, or not there, or taken.
    """
    from glassnet.errors import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # from now on nobody is turned away, before the server takes over
    except (OSError, TypeError) as error:  # the latter for what can not be the name of a host
        listening.close()
        raise ConfigError(
            f"{host:.80}:{port} can not be listened on ({error}): choose another --port, or --host."
        ) from None
    return listening


def _export(export: Path, path: Path | None, force: bool) -> int:
    from glassnet.cli.output import echo
    from glassnet.cli.runs import check_file, default_model
    from glassnet.errors import ConfigError
    from glassnet.model_files import load_model, model_bytes
    from glassnet.web.export import write_snapshot

    check_file(export, force, "--export")
    file, which = default_model() if path is None else (path, str(path))
    model = load_model(file)
    network = model.network
    reads_pictures = model.task == "classification" and math.prod(network.input_shape) == 784
    if not reads_pictures or network.output_shape[0] < 2 or network.dtype != "float32":
        raise ConfigError(
            f"{which}: a page takes float32 networks that read pictures of 28 x 28 pixels and have an output for each "
            "class: name another model with --model."
        )
    write_snapshot(model_bytes(model), export)
    echo(f"{which}: open {export} in any browser")
    return 0
