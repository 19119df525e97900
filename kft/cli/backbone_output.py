"""Output of `kft backbones`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kft.cli.records import Form, print_csv, print_document, print_records
from kft.cli.tables import make_console, show_pairs, show_remark, show_table

if TYPE_CHECKING:
    from kft.backbones.catalogue import Description, Listing


def show_backbones(listings: Sequence[Listing], form: Form) -> None:
    """Print one record per registered backbone."""
    if form != "text":
        print_records(map(asdict, listings), form)
        return
    console = make_console()
    rows = (
        (
            row.name,
            row.modality,
            row.family,
            str(row.default_size or ""),
            str(row.smallest_size or ""),
            row.scaling,
            ", ".join(f"{name}={value}" for name, value in row.options.items()),
            row.licence,
            ", ".join(row.weights),
        )
        for row in listings
    )
    show_table(
        console,
        (
            *(
                "backbone",
                "modality",
                "family",
                "size>",
                "smallest>",
                "scaling",
                "options",
                "licence",
            ),
            "weights on disk",
        ),
        rows,
    )
    show_remark(
        console,
        "Also: hub:HANDLE, keras_hub:PRESET, logmel:NAME (recordings by a backbone of pictures), "
        "frames:NAME (videos by one), or the path of a saved backbone, a .keras file or a "
        "SavedModel. `kft backbones NAME` shows the blocks.",
    )


def show_backbone(description: Description, form: Form) -> None:
    """Print one backbone: its contract, blocks and feature levels."""
    strides = {block: (stride, channels) for stride, block, channels in description.levels}
    if form == "json":
        print_document(asdict(description))
        return
    blocks = [
        {**asdict(block), "stride": stride, "channels": channels}
        for block in description.blocks
        for stride, channels in (strides.get(block.name, (None, None)),)
    ]
    if form == "csv":
        print_csv(blocks)
        return
    console = make_console()
    show_pairs(
        console,
        [
            ("Backbone", description.name),
            ("Source", description.source),
            ("Licence", description.licence),
            ("Input", description.input),
            ("Scaling", description.scaling),
            ("Output", " x ".join(map(str, description.output_shape))),
            ("Parameters", f"{description.num_parameters:,}"),
        ],
    )
    show_table(
        console,
        ("block", "layers>", "parameters>", "stride>", "channels>"),
        (
            (
                block["name"],
                str(block["num_layers"]),
                f"{block['num_parameters']:,}",
                str(block["stride"] or ""),
                str(block["channels"] or ""),
            )
            for block in blocks
        ),
    )
