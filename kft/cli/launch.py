"""`kft launch`."""

from __future__ import annotations

import click


@click.command(
    "launch",
    short_help="Rehearse training over several machines on this one.",
    context_settings={"ignore_unknown_options": True},
)
@click.option(
    "--workers",
    "num_workers",
    type=click.IntRange(2, 64),
    default=2,
    show_default=True,
    help="Number of processes that train one model together.",
)
@click.argument("arguments", nargs=-1, required=True, metavar="ARGUMENTS_OF_TRAIN...")
@click.pass_context
def command(ctx: click.Context, num_workers: int, arguments: tuple[str, ...]) -> None:
    """Rehearse training over several machines on this one.

    Runs `kft train` as several workers on loopback and relays their output, each
    line with its worker's number in front. The results equal those of as many
    machines; docs/scale.md has templates for Kubernetes and Slurm.

    \b
    Examples:
      kft launch --workers 2 photos/
      kft launch --workers 2 pipelines/lp_ft.yaml data.path=photos
      kft launch --workers 2 --resume runs/photos/RUN_ID
    """
    from kft.local_cluster import launch

    debug = ["--debug"] if ctx.find_root().params.get("debug") else []
    ctx.exit(launch(num_workers, [*debug, "train", *arguments]))
