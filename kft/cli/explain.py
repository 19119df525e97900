"""`kft explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("explain", short_help="Show what the answers of a run depend on.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="[FILES|FOLDERS|PATTERNS]...")
@click.option(
    "--mistakes",
    metavar="N",
    type=click.IntRange(min=1),
    help="Without files: number of the most costly mistakes to explain, by default 6.",
)
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write; by default explanations/ in the run, where its report shows them.",
)
@form_options
def command(
    run: Path,
    names: tuple[str, ...],
    *,
    mistakes: int | None,
    output: Path | None,
    form: Form,
) -> None:
    """Show what the answers of a finished run depend on.

    Grad-CAM, integrated gradients and occlusion show the parts of a picture, a
    spectrogram or a text that speak for an answer (warm colours) or against it
    (cold ones). A model whose inside is hidden, such as a TF Hub module, has no
    Grad-CAM.

    Each explanation is checked: after the weights of the model are shuffled it
    should look different, and hiding what it calls important should change the
    answer faster than hiding random parts.

    \b
    Examples:
      kft explain runs/photos/RUN_ID new/*.jpg
      kft explain runs/photos/RUN_ID --mistakes 12
    """
    if names and mistakes is not None:
        raise click.UsageError("--mistakes explains the run's own mistakes: give no files with it.")
    from kft.cli.explanation_output import show_explained
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.data.file_patterns import find_named_files
    from kft.display import Display
    from kft.modalities import choose_modality
    from kft.run_operations.asked_model import read_config
    from kft.run_operations.explain import NUM_MISTAKES, explain_run

    files = find_named_files(names, choose_modality(read_config(run))).files
    explained = explain_run(run, Display(), files, mistakes=mistakes or NUM_MISTAKES, folder=output)
    show_explained(explained, form)
