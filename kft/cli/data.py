"""`kft data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, on_invalid_file_option, pipeline_options, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.config import Pipeline
    from kft.examples import Splits


@click.command("data", short_help="Show the data: splits, classes, augmented pictures.")
@pipeline_options
@on_invalid_file_option
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
@click.option(
    "--write-coco",
    "coco",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the boxes of each split as FOLDER/annotations/SPLIT.json, in the form of COCO.",
)
@form_options
def command(
    source: str,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_invalid_file: str | None,
    picture: Path | None,
    preset: str | None,
    pictures: int,
    views: int,
    coco: Path | None,
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
      kft data cells/ --write-coco cells_coco/
    """
    from kft.config import load_pipeline, override_pipeline
    from kft.modalities import choose_modality
    from kft.startup import start_tensorflow

    pipeline = load_pipeline(
        source, with_options(overrides, trust=trust, on_invalid_file=on_invalid_file)
    )
    modality = choose_modality(pipeline.data)
    if preset is not None:
        change = f"data.{modality.name}.augmentation={preset}"
        pipeline = override_pipeline(pipeline, [change])
    drawn = modality.settings_of(pipeline.data).augmentation
    if picture is not None:
        _check_picture(picture, f"data.{modality.name}.augmentation", drawn)
    start_tensorflow(pipeline)

    from kft.cli.data_output import show_splits
    from kft.data import load_splits
    from kft.display import Display

    with Display().track(f"Checking every {modality.noun}") as advance:
        splits = load_splits(
            pipeline.data, progress=advance, output_folders=pipeline.output_folders
        )
    show_splits(splits, form)
    if coco is not None:
        from kft.modalities.image.annotations.coco_writing import write_coco

        for path in write_coco(splits, coco):
            click.echo(f"{path}", err=form != "text")
    if picture is not None:
        _draw(pipeline, splits, picture, pictures, views)
        summary = f"{picture}: {drawn}, {views} views of each {modality.noun}"
        click.echo(f"\n{summary}", err=form != "text")


def _check_picture(path: Path, key: str, preset: str) -> None:
    from kft.runs.atomic import check_output_file

    check_output_file(path, "--show-augmented", ".png")
    if preset == "none":
        raise click.UsageError(
            f"--show-augmented: {key} is 'none', so there is nothing to show. "
            "Choose an augmentation with --preset."
        )


def _draw(pipeline: Pipeline, splits: Splits, path: Path, pictures: int, views: int) -> None:
    from kft.backbones import find_input_spec
    from kft.backbones.defaults import choose_backbone
    from kft.data.views import make_view_rows
    from kft.modalities import load_modality
    from kft.runs.atomic import write_bytes

    modality = load_modality(splits.modality)
    settings = modality.settings_of(pipeline.data)
    augmentation = modality.make_augmentation(settings.augmentation, settings)
    assert augmentation is not None
    spec = find_input_spec(choose_backbone(pipeline).backbone)
    spec = modality.fit_spec(spec, settings, splits.train)
    rows = make_view_rows(
        splits,
        modality.make_decoder(spec, settings, splits.calibrated),
        augmentation,
        num_examples=pictures,
        num_views=views,
        seed=pipeline.training.seed,
    )
    drawn = modality.draw_views(rows, f"{settings.augmentation}: {pipeline.data.path} at {spec}")
    if drawn is None:
        raise click.UsageError(f"--show-augmented: {modality.nouns} cannot be drawn.")
    write_bytes(path, drawn)
