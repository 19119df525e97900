"""What the verbs print: results to standard output, as tables where they are tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from kft.backbones.catalogue import Description, Listing
    from kft.demo import Demo
    from kft.doctor import Finding
    from kft.runs import RunDirectory
    from kft.serving import Answer, Export
    from kft.tuning import Tuned
    from kft.workflow import Finished

# Wide enough that a table in a pipe or a log is not folded.
PIPED_WIDTH = 160


def make_console() -> Console:
    """Standard output; in a pipe it has a fixed width and no colour."""
    # Markup off: `pip install 'kft[hub]'` is text.
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=PIPED_WIDTH)
    return console


def make_table(*headings: str, title: str | None = None) -> Table:
    """A table without frames; headings that end in '>' align their column right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for heading in headings:
        is_number = heading.endswith(">")
        table.add_column(heading.rstrip(">"), justify="right" if is_number else "left")
    return table


def show_pairs(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Names and their values, a line each."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  {name.ljust(width)}  {value}", soft_wrap=True)


def show_finished(finished: Finished) -> None:
    """Where everything is, and what to type next."""
    from kft.evaluation import headline
    from kft.training.progress import format_seconds

    console = make_console()
    seconds = sum(fitted.seconds for fitted in finished.fitted)
    console.print(f"\nFinished; the phases took {format_seconds(seconds)}.\n")
    run, export = finished.run.path, finished.export
    rows = []
    if finished.evaluation:
        rows.append(("Holdout", headline(finished.evaluation.figures)))
    rows.append(("Run", str(run)))
    if finished.backbone:
        rows.append(("Backbone", str(finished.backbone)))
    if export:
        rows.append(("Export", _describe_export(export)))
    show_pairs(console, rows)
    console.print("\nNext\n")
    commands = []
    if finished.backbone:
        commands.append(f"kft train DATA backbone.name={finished.backbone}")
    if finished.evaluation:
        commands.append(f"kft evaluate {run}")
    commands.append(f"kft predict {export.path if export else run} PICTURE.jpg")
    if not export:
        commands.append(f"kft export {run}")
    for line in commands:
        console.print(f"  {line}", soft_wrap=True)


def _describe_export(export: Export) -> str:
    return (
        f"{export.path} ({export.num_files} pictures served as trained, "
        f"largest difference {export.largest_difference:.1e})"
    )


def show_export(export: Export) -> None:
    """Where the export is, and how it is served."""
    console = make_console()
    folder = export.path.parent
    show_pairs(console, [("Export", _describe_export(export))])
    console.print("\nNext\n")
    console.print(f"  kft predict {export.path} PICTURE.jpg", soft_wrap=True)
    console.print(
        f"  docker run -p 8501:8501 -v {folder.absolute()}:/models/{folder.name} "
        f"-e MODEL_NAME={folder.name} tensorflow/serving",
        soft_wrap=True,
    )


def show_figures(figures: dict[str, Any], *, title: str) -> None:
    """The headline, then a line a class, label or number."""
    from kft.evaluation import headline

    console = make_console()
    console.print(f"{title}: {headline(figures)}", soft_wrap=True)
    for kind in ("classes", "labels", "numbers"):
        if kind not in figures:
            continue
        columns = list(next(iter(figures[kind].values())))
        table = make_table(kind, *(f"{column.replace('_', ' ')}>" for column in columns))
        for name, values in figures[kind].items():
            table.add_row(name, *(_format_figure(values[column]) for column in columns))
        console.print(table)


def _format_figure(value: float | int | None) -> str:
    if value is None:
        return "none"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def show_answers(answers: Sequence[Answer], top: int) -> None:
    """A line a file with its most probable names."""
    console = make_console()
    table = make_table("file", "answer", "also")
    for answer in answers:
        if answer.has_one_class:
            (name, value), *rest = answer.best(top)
            also = ", ".join(f"{other} {p:.3f}" for other, p in rest)
            table.add_row(answer.file, f"{name} {value:.3f}", also)
        else:
            values = ", ".join(f"{name} {value:.4g}" for name, value in answer.values.items())
            table.add_row(answer.file, values, "")
    console.print(table)


def show_runs(runs: Sequence[RunDirectory], directory: str) -> None:
    """A line a run."""
    from kft.errors import RunError

    console = make_console()
    if not runs:
        console.print(f"No runs in {Path(directory).absolute()}.", soft_wrap=True)
        return
    table = make_table("run", "state", "at", "holdout")
    for run in runs:
        try:
            status = run.read_status()
        except RunError as error:
            table.add_row(str(run.path), "damaged", "", str(error))
            continue
        note = status.get("holdout") or status.get("reason") or ""
        table.add_row(str(run.path), status["state"], status["time"], note.partition(" (")[0])
    console.print(table)


def show_backbones(listings: Sequence[Listing]) -> None:
    """A line a registered backbone."""
    console = make_console()
    table = make_table(
        "backbone", "family", "size>", "least>", "scaling", "options", "licence", "weights on disk"
    )
    for row in listings:
        options = ", ".join(f"{name}={value}" for name, value in row.options.items())
        table.add_row(
            row.name,
            row.family,
            str(row.default_size),
            str(row.smallest_size),
            row.scaling,
            options,
            row.licence,
            ", ".join(row.weights),
        )
    console.print(table)
    console.print(
        "Also: hub:HANDLE, keras_hub:PRESET, or the path of a saved backbone, a .keras file or a "
        "SavedModel. `kft backbones NAME` shows the blocks.",
        soft_wrap=True,
    )


def show_backbone(description: Description) -> None:
    """One backbone: its contract, blocks and feature levels."""
    console = make_console()
    show_pairs(
        console,
        [
            ("Backbone", description.name),
            ("Source", description.source),
            ("Licence", description.licence),
            ("Input", f"{description.input_size} x {description.input_size}"),
            ("Scaling", description.scaling),
            ("Output", " x ".join(map(str, description.output_shape))),
            ("Parameters", f"{description.num_parameters:,}"),
        ],
    )
    strides = {block: (stride, channels) for stride, block, channels in description.levels}
    table = make_table("block", "layers>", "parameters>", "stride>", "channels>")
    for block in description.blocks:
        stride, channels = strides.get(block.name, ("", ""))
        table.add_row(
            block.name,
            str(block.num_layers),
            f"{block.num_parameters:,}",
            str(stride),
            str(channels),
        )
    console.print(table)


def show_findings(findings: Sequence[Finding]) -> None:
    """A line a finding, with what mends it."""
    console = make_console()
    table = make_table("", "what", "found", "what mends it")
    for finding in findings:
        mark = "ok" if finding.is_fine else "optional" if finding.is_optional else "MISSING"
        table.add_row(mark, finding.name, finding.text, finding.remedy)
    console.print(table)


def show_demo(demo: Demo) -> None:
    """The two accuracies side by side, and what the export answered."""
    from kft.demo import PICTURES_PER_CLASS
    from kft.training.progress import format_seconds

    console = make_console()
    table = make_table("small_cnn, digits 5 to 9", "holdout accuracy>", "95 % interval>")
    for name, finished in (
        ("pretrained on the digits 0 to 4, then fine-tuned", demo.fine_tuned),
        ("from random weights", demo.from_random),
    ):
        assert finished.evaluation is not None
        figures = finished.evaluation.figures
        low, high = figures["accuracy_95_percent_interval"]
        table.add_row(name, f"{figures['accuracy']:.3f}", f"{low:.3f} to {high:.3f}")
    console.print()
    console.print(table)
    console.print(
        f"Both saw {PICTURES_PER_CLASS} labelled pictures of each class. The export, asked about "
        "PNG bytes in a process without kft:\n",
        soft_wrap=True,
    )
    show_pairs(console, list(demo.served))
    console.print("\nWhere everything is\n")
    assert demo.fine_tuned.export is not None
    show_pairs(
        console,
        [
            ("Run", str(demo.fine_tuned.run.path)),
            ("Export", str(demo.fine_tuned.export.path)),
        ],
    )
    console.print(
        f"\nThe demo took {format_seconds(demo.seconds)}. With pictures of your own: "
        "kft train FOLDER",
        soft_wrap=True,
    )


def show_tuned(tuned: Tuned) -> None:
    """The trials, best first, then the finished run of the best."""
    console = make_console()
    paths = list(tuned.trials[0].settings)
    table = make_table(*paths, f"validation {tuned.objective.replace('_', ' ')}>")
    for trial in tuned.trials:
        values = [trial.settings[path] for path in paths]
        shown = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
        table.add_row(*shown, f"{trial.score:.4f}")
    console.print(table)
    count = len(tuned.trials) + len(tuned.refused)
    for is_failure, what in ((False, "refused"), (True, "failed")):
        out = [refusal for refusal in tuned.refused if refusal.is_failure == is_failure]
        if out:
            listed = "\n".join(f"  {refusal}" for refusal in out)
            console.print(f"{len(out)} of {count} trials {what}:\n{listed}", soft_wrap=True)
    show_finished(tuned.finished)
