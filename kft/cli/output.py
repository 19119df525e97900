"""Output of the commands, on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kft.cli.records import print_csv, print_document, print_records
from kft.cli.tables import make_console, show_pairs, show_remark, show_table

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.doctor import CheckResult
    from kft.pretraining.running import Pretrained
    from kft.runs import RunDirectory
    from kft.serving import Export
    from kft.tasks import Task
    from kft.tuning import Tuned
    from kft.workflow import Finished


# Up to MOST_SHOWN classes or labels are all shown; of more, the NUM_WORST worst.
MOST_SHOWN = 40
NUM_WORST = 20


def show_finished(finished: Finished, console: Console | None = None) -> None:
    """Print the locations of a run's results, and the next commands.

    Args:
        finished: The run.
        console: Console to print to; by default standard output.
    """
    from kft.display import format_seconds
    from kft.tasks import headline

    console = console or make_console()
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
    from kft.cli.ladder_output import show_ladder

    split = "holdout" if finished.evaluation else "validation"
    show_ladder(finished.run.evaluation(split), console)
    console.print("\nNext\n")
    commands = []
    if finished.backbone:
        commands.append(f"kft train DATA backbone.name={finished.backbone}")
    if finished.evaluation:
        commands.append(f"kft evaluate {run}")
    commands.append(f"kft predict {export.path if export else run} FILE")
    if not export:
        commands.append(f"kft export {run}")
    for line in commands:
        console.print(f"  {line}", soft_wrap=True)


def _describe_export(export: Export) -> str:
    return (
        f"{export.path} ({export.num_compared} examples served as trained, "
        f"largest difference {export.largest_difference:.1e})"
    )


def show_pretrained(pretrained: Pretrained) -> None:
    """Print the location of a backbone that was pretrained without labels, and its next command."""
    console = make_console()
    console.print("\nFinished.\n")
    rows = (("Run", str(pretrained.run.path)), ("Backbone", str(pretrained.backbone)))
    show_pairs(console, rows)
    console.print(f"\nNext\n\n  kft train DATA backbone.name={pretrained.backbone}", soft_wrap=True)


def show_export(export: Export) -> None:
    """Print the location of an export, and the commands to use and serve it."""
    console = make_console()
    folder = export.path.parent
    show_pairs(console, [("Export", _describe_export(export))])
    console.print("\nNext\n")
    console.print(f"  kft predict {export.path} FILE", soft_wrap=True)
    console.print(
        f"  docker run -p 8501:8501 -v {folder.absolute()}:/models/{folder.name} "
        f"-e MODEL_NAME={folder.name} tensorflow/serving",
        soft_wrap=True,
    )


def show_figures(figures: dict[str, Any], *, title: str) -> None:
    """Print the headline, then one line per class, label or number."""
    from kft.tasks import headline, task_of_figures

    console = make_console()
    console.print(f"{title}: {headline(figures)}", soft_wrap=True)
    task = task_of_figures(figures)
    judged = figures[task.figures.names_key]
    columns = list(next(iter(judged.values())))
    shown = _choose_shown(judged)
    show_table(
        console,
        (task.nouns, *(f"{column.replace('_', ' ')}>" for column in columns)),
        (
            (name, *(_format_figure(judged[name][column], task) for column in columns))
            for name in shown
        ),
    )
    if len(shown) < len(judged):
        show_remark(
            console,
            f"These are the {len(shown)} worst by F1 of {len(judged):,} {task.nouns}. metrics.json "
            "in the run's folder of this evaluation has all; --json and --csv print them.",
        )


def list_figures(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Make one record of figures per class, label or number."""
    from kft.tasks import task_of_figures

    task = task_of_figures(figures)
    judged = figures[task.figures.names_key]
    return [{task.noun: name, **values} for name, values in judged.items()]


def _choose_shown(judged: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Choose all names, or only the worst judged ones if there are many."""
    if len(judged) <= MOST_SHOWN or "f1" not in next(iter(judged.values())):
        return list(judged)
    named = [name for name in judged if judged[name]["f1"] is not None]
    return sorted(named, key=lambda name: judged[name]["f1"])[:NUM_WORST]


def _format_figure(value: float | None, task: Task) -> str:
    return str(value) if isinstance(value, int) else task.format_value(value)


def show_runs(runs: Sequence[RunDirectory], directory: str, form: Form) -> None:
    """Print one record per run."""
    records = [_describe_run(run) for run in runs]
    if form != "text":
        print_records(records, form)
        return
    console = make_console()
    if not runs:
        show_remark(console, f"No runs in {Path(directory).absolute()}.")
        return
    rows = (
        (
            record["run"],
            record["state"],
            record["time"] or "",
            # Only the figure of the headline, but the whole reason of a failure.
            (record["holdout"] or "").partition(" (")[0] or record["reason"] or "",
        )
        for record in records
    )
    show_table(console, ("run", "state", "time", "holdout"), rows)


def _describe_run(run: RunDirectory) -> dict[str, Any]:
    """Describe a run's path, state and score as JSON values."""
    from kft.errors import RunError

    try:
        status = run.read_status()
    except RunError as error:
        status = {"state": "damaged", "reason": str(error)}
    details = ("state", "time", "holdout", "reason", "export")
    return {"run": str(run.path), **{detail: status.get(detail) for detail in details}}


def show_findings(findings: Sequence[CheckResult], form: Form) -> None:
    """Print one record per finding, with its remedy."""
    records = [
        {
            "state": "ok" if finding.is_fine else "optional" if finding.is_optional else "MISSING",
            "what": finding.name,
            "found": finding.text,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]
    if form == "text":
        rows = (tuple(record.values()) for record in records)
        show_table(make_console(), ("", "check", "found", "remedy"), rows)
    else:
        print_records(records, form)


def show_tuned(tuned: Tuned, form: Form) -> None:
    """Print the trials, best first, then the finished run of the best pipeline."""
    score = f"validation_{tuned.objective}"
    trials = [{**trial.settings, score: trial.score} for trial in tuned.trials]
    if form == "json":
        print_document(
            {
                "objective": tuned.objective,
                "trials": [asdict(trial) for trial in tuned.trials],
                "refused": [asdict(refusal) for refusal in tuned.refused],
                "run": str(tuned.finished.run.path),
            }
        )
        return
    if form == "csv":
        print_csv(trials)
        console = Console(stderr=True, highlight=False, markup=False)
    else:
        console = make_console()
        rows = (
            (*map(_format_setting, trial.settings.values()), f"{trial.score:.4f}")
            for trial in tuned.trials
        )
        show_table(console, (*tuned.trials[0].settings, f"{score.replace('_', ' ')}>"), rows)
    _show_refused(tuned, console)
    show_finished(tuned.finished, console)


def _show_refused(tuned: Tuned, console: Console) -> None:
    """Print the trials that were refused or failed, each with its reason."""
    count = len(tuned.trials) + len(tuned.refused)
    for is_failure, outcome in ((False, "refused"), (True, "failed")):
        dropped = [refusal for refusal in tuned.refused if refusal.is_failure == is_failure]
        if dropped:
            listed = "\n".join(f"  {refusal}" for refusal in dropped)
            console.print(f"{len(dropped)} of {count} trials {outcome}:\n{listed}", soft_wrap=True)


def _format_setting(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
