"""`kft demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo", short_help="Pretrain, fine-tune, export and serve, with no network.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("kft-demo"),
    show_default=True,
    help="A new folder for the pictures, runs and exports.",
)
def command(directory: Path) -> None:
    """Pretrain, fine-tune, export and serve on real data, with no network at all.

    Handwritten digits are written out as pictures. A small backbone learns
    the digits 0 to 4, and is fine-tuned to the digits 5 to 9 with 20 labelled
    pictures of each; its accuracy is shown beside that of the same network
    from random weights. The export is asked about PNG files in a process
    that has TensorFlow and no kft. Takes under two minutes on two cores.

    \b
    Example:
      kft demo --directory /tmp/kft-demo
    """
    from kft.cli.output import show_demo
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.demo import run_demo
    from kft.display import Display

    show_demo(run_demo(directory, Display()))
