"""`kft predict`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("predict", short_help="Ask a run or an export about pictures.")
@click.argument("model", metavar="RUN|EXPORT", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(min=1), help="Names per file."
)
@click.option("--json", "as_json", is_flag=True, help="Print every probability, a line a file.")
def command(model: Path, files: tuple[str, ...], top: int, as_json: bool) -> None:
    """Ask a run or an export about pictures.

    An export is asked through the signature that TensorFlow Serving calls.

    \b
    Examples:
      kft predict saved_models/photos/1 cat.jpg dog.png
      kft predict runs/photos/RUN_ID *.jpg --json
    """
    import json

    from kft.cli.output import show_answers
    from kft.cli.startup import start_tensorflow

    start_tensorflow()

    from kft.finished import predict

    answers = predict(model, files, say=lambda words: click.echo(words, err=True))
    if as_json:
        for answer in answers:
            click.echo(json.dumps({"file": answer.file, "values": answer.values}))
    else:
        show_answers(answers, top)
