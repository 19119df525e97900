"""`kft demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo", short_help="Train, compare, export and serve without a network.")
@click.option("--text", "modality", flag_value="text", help="On texts: documentation of SciPy.")
@click.option("--audio", "modality", flag_value="audio", help="On recordings that kft makes.")
@click.option("--video", "modality", flag_value="video", help="On videos that kft makes.")
@click.option(
    "--image", "modality", flag_value="image", default="image", help="On pictures (default)."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("kft-demo"),
    show_default=True,
    help="New folder for the data, runs and exports.",
)
def command(modality: str, directory: Path) -> None:
    """Train, compare, export and serve without a network connection.

    With pictures, a small backbone is pretrained on the handwritten digits 0 to
    4, then fine-tuned on the digits 5 to 9 with 20 labelled pictures of each;
    its accuracy on the holdout is compared with the same network trained from
    random weights. With --audio, the same is done on sounds that rise, fall or
    step. With --text, word vectors learned from documentation are compared with
    random ones. With --video, a network that sees the order of frames is
    compared with the mean over frames, on moving shapes. The export answers in a
    process with TensorFlow but without kft. Each takes under two minutes on two
    cores.

    \b
    Examples:
      kft demo --directory /tmp/kft-demo
      kft demo --text
      kft demo --audio
      kft demo --video
    """
    from kft.cli.demo_output import show_demo
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.demos import DEMOS, Place, run_demo
    from kft.display import Display

    show_demo(run_demo(DEMOS.load(modality)(), Place(directory, Display())))
