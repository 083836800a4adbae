"""The command line. Commands live in modules of their own and are imported when they are called for."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
import time
import traceback
from collections.abc import Sequence

import click

from glassnet.errors import ConfigError, GlassnetError, OutputExistsError

STARTED = time.time()
"""When the program began, for systems that do not tell when its process did."""

atexit.register(gc.freeze)  # the system takes the memory back; Python would look through it for cycles first: 0.1 s

COMMANDS = {
    "train": "train",
    "lr-find": "lr_find",
    "evaluate": "evaluate",
    "replay": "replay",
    "predict": "predict",
    "explain": "explain",
    "playground": "playground",
    "plot": "plot",
    "study": "study",
    "data": "data",
    "doctor": "doctor",
    "completion": "completion",
}
"""Each command and the module in this package that holds it."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when somebody asks for the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"glassnet.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from glassnet.cli.runs import versions

        click.echo(", ".join(f"{name} {version}" for name, version in versions().items()))
        ctx.exit()


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show versions and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A neural network made of glass: learns handwritten digits with NumPy alone.

    \b
    Examples:
      glassnet train                      784-100-100-10 on MNIST, a few seconds
      glassnet train --hidden 512,256 --optimizer momentum --epochs 10
      glassnet train --config runs/latest the newest run once more, bit for bit
      glassnet predict --show digit.png   your own handwriting
      glassnet plot runs/a runs/b         two runs in one picture
      glassnet lr-find                    how large may the learning rate be?
      glassnet evaluate                   the newest run, on the test images
      glassnet study list                 experiments: optimizers, activations, batch sizes
      glassnet data info                  what the data look like
      glassnet explain                    one training step, number by number
      glassnet playground                 watch it learn, in a browser
      glassnet doctor                     what would make training faster here
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the job failed, 2 wrong usage, 130 interrupted,
    143 terminated.

    An error is one sentence on the standard error; ``--debug`` shows the traceback, too.
    """
    args = sys.argv[1:] if args is None else list(args)
    try:
        status = cli.main(args, prog_name="glassnet", standalone_mode=False) or 0
    except click.ClickException as error:
        _say(" ".join(error.format_message().split()) + _hint(error))
        status = 2
    except (ConfigError, OutputExistsError) as error:
        _say(str(error), args)
        status = 2
    except GlassnetError as error:
        _say(str(error), args)
        status = 1
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted before it was done.", args)
        status = 130
    except OSError as error:
        _say(f"the system refused ({error}): look at the folder, its permissions and the room on the disk.", args)
        status = 1
    except MemoryError as error:
        _say(f"there is not enough memory: take a smaller network, batch or data set. {error}".rstrip(), args)
        status = 1
    except Exception as error:
        _say(
            f"this should not happen, please report it ({type(error).__name__}: {error}); --debug shows where.",
            args,
        )
        status = 1
    sys.exit(status)


def _hint(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f" ('{ctx.command_path} --help' shows what there is.)" if ctx is not None else ""


def _say(sentence: str, args: Sequence[str] = ()) -> None:
    from glassnet.cli.output import echo

    if "--debug" in args:
        echo(traceback.format_exc().rstrip(), err=True)
    echo(f"glassnet: {sentence}", err=True)
