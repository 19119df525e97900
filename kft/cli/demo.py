"""`kft demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo", short_help="Pretrain, fine-tune, export and serve without a network.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("kft-demo"),
    show_default=True,
    help="New folder for the pictures, runs and exports.",
)
def command(directory: Path) -> None:
    """Pretrain, fine-tune, export and serve on real data without a network connection.

    Writes handwritten digits as pictures. A small backbone is pretrained on the
    digits 0 to 4, then fine-tuned on the digits 5 to 9 with 20 labelled pictures
    of each; its accuracy is compared with the same network trained from random
    weights. The export predicts PNG files in a process with TensorFlow but
    without kft. Takes under two minutes on two cores.

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
