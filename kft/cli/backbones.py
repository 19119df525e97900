"""`kft backbones`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("backbones", short_help="List backbones, or show the blocks of one.")
@click.argument("name", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--modality", help="List only backbones of this modality, such as text.")
@form_options
def command(name: str | None, overrides: tuple[str, ...], modality: str | None, form: Form) -> None:
    """List backbones, or show the blocks of one.

    NAME is a registered name, hub:HANDLE, keras_hub:PRESET or the path of a
    saved backbone. Its architecture is shown; no weights are downloaded.

    \b
    Examples:
      kft backbones
      kft backbones --modality text
      kft backbones resnet50
      kft backbones mobilenet_v2 backbone.options.alpha=0.35
    """
    from kft.cli.backbone_output import show_backbone, show_backbones

    if name is None:
        from kft.backbones.catalogue import list_backbones

        listed = [row for row in list_backbones() if modality in (None, row.modality)]
        show_backbones(listed, form)
        return
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.backbones import BACKBONES, describe, load_backbone
    from kft.config import load_pipeline

    # Only the architecture is shown, so registered backbones need no weights.
    weights = ["backbone.weights=random"] if name in BACKBONES else []
    pipeline = load_pipeline(None, [f"backbone.name={name}", *weights, *overrides])
    show_backbone(describe(load_backbone(pipeline.backbone)), form)
