"""`kft data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, on_bad_option, pipeline_options, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.config import BackboneConfig, Pipeline
    from kft.examples import Splits


@click.command("data", short_help="Show the data: splits, classes, augmented pictures.")
@pipeline_options
@on_bad_option
@click.option(
    "--show-augmented",
    "picture",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Draw training pictures with augmented views of each.",
)
@click.option("--preset", metavar="NAME", help="Augmentation to draw; by default the pipeline's.")
@click.option(
    "--pictures",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Number of pictures to draw, taken from the classes in turn.",
)
@click.option(
    "--views",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Number of augmented views of each picture, from the first epochs.",
)
@form_options
def command(
    source: str,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_bad: str | None,
    picture: Path | None,
    preset: str | None,
    pictures: int,
    views: int,
    form: Form,
) -> None:
    """Show the data: splits, classes, augmented pictures.

    Every picture is decoded, and files that cannot be decoded are named.

    Augmentations: none, light, medium, strong, trivial_augment, rand_augment,
    aug_mix. The n-th view is the one that training with the same seed uses in
    epoch n.

    \b
    Examples:
      kft data photos/
      kft data photos/ --show-augmented augmented.png
      kft data photos/ --show-augmented strong.png --preset strong --pictures 10
    """
    from kft.config import load_pipeline
    from kft.startup import start_tensorflow

    if preset is not None:
        overrides = (*overrides, f"data.image.augmentation={preset}")
    pipeline = load_pipeline(source, with_options(overrides, trust=trust, on_bad=on_bad))
    if picture is not None:
        _check_picture(picture, pipeline.data.image.augmentation)
    start_tensorflow(pipeline)

    from kft.cli.data_output import show_splits
    from kft.data import load_splits
    from kft.display import Display

    with Display().track("Checking every picture") as advance:
        splits = load_splits(
            pipeline.data, progress=advance, output_folders=pipeline.output_folders
        )
    show_splits(splits, form)
    if picture is not None:
        _draw(pipeline, splits, picture, pictures, views)
        drawn = f"{picture}: {pipeline.data.image.augmentation}, {views} views of each picture"
        click.echo(f"\n{drawn}", err=form != "text")


def _check_picture(path: Path, preset: str) -> None:
    from kft.runs.atomic import check_picture_path

    check_picture_path(path, "--show-augmented")
    if preset == "none":
        raise click.UsageError(
            "--show-augmented: data.image.augmentation is 'none', so there is nothing to show. "
            "Choose an augmentation with --preset."
        )


def _draw(pipeline: Pipeline, splits: Splits, path: Path, pictures: int, views: int) -> None:
    import io

    from kft.data.gallery import draw_gallery, make_rows
    from kft.modalities.image.augmentation import make_augmentation
    from kft.modalities.image.decoding import make_decoder
    from kft.runs.atomic import write_bytes

    augmentation = make_augmentation(pipeline.data.image.augmentation)
    assert augmentation is not None
    modality, height, width = _find_input(pipeline.backbone)
    rows = make_rows(
        splits,
        make_decoder(modality, height, width, pipeline.data, splits.depth_bits),
        augmentation,
        num_pictures=pictures,
        num_views=views,
        seed=pipeline.training.seed,
    )
    caption = f"{pipeline.data.image.augmentation}: {pipeline.data.path} at {height} x {width}"
    content = io.BytesIO()
    draw_gallery(rows, caption=caption).save(content, "PNG")
    write_bytes(path, content.getvalue())


def _find_input(config: BackboneConfig) -> tuple[str, int, int]:
    """Find the modality, height and width of the backbone's input."""
    from kft.backbones import load_backbone
    from kft.backbones.families import ARCHITECTURES
    from kft.backbones.official import check_size

    if config.name in ARCHITECTURES:
        size = check_size(ARCHITECTURES[config.name], config.input_size)
        return "image", size, size
    # For other backbones the input is known only once they are built.
    spec = load_backbone(config).input_spec
    return spec.modality, spec.height, spec.width
