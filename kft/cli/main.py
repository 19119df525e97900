"""The `kft` command, which loads its subcommands and turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from kft import __version__
from kft.errors import KftError
from kft.printing import printable_lines

VERBS = (
    "train",
    "launch",
    "check",
    "demo",
    "pretrain",
    "evaluate",
    "report",
    "explain",
    "compare",
    "predict",
    "export",
    "tune",
    "data",
    "audit",
    "find-learning-rate",
    "benchmark",
    "runs",
    "backbones",
    "cache",
    "doctor",
)
# Former names of commands -> present names.
RENAMED = {"measure": "benchmark", "find-lr": "find-learning-rate"}
RENAMED_OPTIONS = {"--on-bad": "--on-invalid-file", "--or-resume": "--resume-if-started"}
INTERRUPTED = 130


class Verbs(click.Group):
    """Command group that loads a command's module on demand, and reports errors as messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which a user meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None if it does not exist."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(
            f"kft.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command as click does; suggest similar commands if it does not exist."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from kft.registry import suggest

            if args[0] in RENAMED:
                ctx.fail(f"`kft {args[0]}` is now `kft {RENAMED[args[0]]}`.")
            ctx.fail(f"no such command {args[0]!r}. {suggest(args[0], VERBS)}")
        for old, new in RENAMED_OPTIONS.items():
            if old in args:
                ctx.fail(f"{old} is now {new}.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors become a message and an exit code, except with --debug."""
        try:
            if os.environ.get("KFT_PLUGINS"):
                importlib.import_module("kft.plugins").load_plugins()
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KftError as error:
            _leave(ctx, f"error: {error}", error.exit_code, error)
        except KeyboardInterrupt as error:
            # The message names the signal and the command to resume.
            _leave(
                ctx, str(error) or "interrupted", getattr(error, "exit_code", INTERRUPTED), error
            )
        except BrokenPipeError:
            # The reader of our output has closed it (`| head`), which is not an error.
            sys.stderr.close()
            ctx.exit(0)
        except Exception as error:
            from kft.runs.storage import find_storage_failure

            failure = find_storage_failure(error)
            if failure is not None:
                _leave(ctx, f"error: {failure}", failure.exit_code, error)
            message = (
                f"error: unexpected {type(error).__name__}: {_first_lines(error)}\n"
                "This is a bug in kft or a fault of its environment. Run the command again as "
                "`kft --debug …` for the traceback, and `kft doctor` to check this machine."
            )
            _leave(ctx, message, 1, error)


def _leave(ctx: click.Context, message: str, exit_code: int, error: BaseException) -> None:
    if ctx.params.get("debug"):
        raise error
    # Content of files, such as column names, must not reach the terminal unescaped.
    click.echo(printable_lines(message), err=True)
    ctx.exit(exit_code)


def _first_lines(error: Exception) -> str:
    return "\n".join(str(error).strip().splitlines()[:3])


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `kft demo`, or `kft train FOLDER` on a folder of class folders.",
)
@click.version_option(__version__, prog_name="kft")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Fine-tune pretrained models on your own labelled data, and serve the trained models."""
