"""`kft predict`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.data.file_patterns import NamedFiles

# With more files, prediction takes long enough for a progress bar.
_MANY_FILES = 256


@click.command("predict", short_help="Predict pictures with a run or an export.")
@click.argument("model", metavar="RUN|EXPORT")
@click.argument("names", nargs=-1, metavar="FILES|FOLDERS|PATTERNS|-...")
@click.option(
    "--from",
    "lists",
    multiple=True,
    metavar="FILE",
    help="Text file that lists files and folders to predict, one per line; '-' is standard input.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Number of classes or labels per file, most probable first. By default 3 and any others "
    "above 0.5; with --json and --csv all. Numbers are always all printed.",
)
@click.option(
    "--draw",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to draw each answer into, as a picture with its mask or boxes.",
)
@form_options
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    names: tuple[str, ...],
    *,
    lists: tuple[str, ...],
    top: int | None,
    folder: Path | None,
    form: Form,
) -> None:
    """Predict pictures with a run or an export.

    An export is called through the signature that TensorFlow Serving calls. A
    folder stands for all pictures below it; a pattern in quotes, such as
    'photos/**/*.jpg', finds files without the limits of the shell.

    A file that cannot be used is named on standard error, and is a record with
    an `error` in --json and --csv; the other files are answered, and the exit
    code is 1. It is 2 if no file could be answered.

    \b
    Examples:
      kft predict saved_models/photos/1 cat.jpg dog.png
      kft predict runs/photos/RUN_ID photos/new --csv > answers.csv
      kft predict runs/streets/RUN_ID streets/new --draw drawn/
      find photos -name '*.jpg' | kft predict runs/photos/RUN_ID - --json
    """
    from kft.data.file_patterns import find_named_files
    from kft.data.paths import refuse_remote
    from kft.errors import DataError
    from kft.modalities import choose_modality
    from kft.startup import start_tensorflow

    if not names and not lists:
        raise click.UsageError("Give files, folders or patterns, or a list of them with --from.")
    refuse_remote(model)
    start_tensorflow()

    from kft.run_operations.asked_model import read_config

    named = find_named_files(names, choose_modality(read_config(Path(model))), lists)
    num_bad = _show(Path(model), named, top, form, folder)
    num_files = len(named.files) + len(named.quarantined)
    if num_bad == num_files:
        raise DataError(f"none of the files could be answered ({num_files:,} named above).")
    if num_bad:
        click.echo(f"{num_bad:,} of {num_files:,} files could not be answered.", err=True)
        ctx.exit(1)


def _show(model: Path, named: NamedFiles, top: int | None, form: Form, folder: Path | None) -> int:
    """Print the answer about each file; return the number of files without an answer."""
    from kft.cli.answer_output import Report, show_answers
    from kft.display import Display
    from kft.run_operations.predict import predict

    report = Report(Display())
    report.show_ignored(named.ignored)
    answers = predict(model, named.files, say=report.add_remark)
    if folder is not None:
        from kft.cli.answer_drawing import draw_answers

        answers = draw_answers(answers, named.files, folder, model)
    # On a terminal, a progress bar would be drawn between the records.
    is_tracked = len(named.files) > _MANY_FILES and (form == "text" or not sys.stdout.isatty())
    outcomes = itertools.chain(
        ((bad.name, bad) for bad in named.quarantined),
        zip(named.files, answers, strict=True),
    )
    total = len(named.files) + len(named.quarantined)
    show_answers(report.watch(outcomes, total if is_tracked else None), top, form)
    report.show_rest()
    return report.num_bad
