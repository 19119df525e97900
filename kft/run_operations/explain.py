"""Explanation of a finished run's answers: about given files, or about its worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.data.admission.check_files import check_files
from kft.data.batches.example_cache import to_inputs
from kft.data.batches.reading import make_reader, refuse_changed, translate_read_errors
from kft.data.refusing import list_bad
from kft.display import Display
from kft.errors import DataError
from kft.evaluation.mistakes import rank_mistakes
from kft.evaluation.prediction_reading import read_predictions
from kft.examples import Examples, Files, Quarantined
from kft.explanation.explained_model import ExplainedModel
from kft.explanation.explaining import Explainer
from kft.explanation.record import Explanation, write_explanations
from kft.modalities import load_modality
from kft.modalities.checked import Checked, CheckOptions, temporary_copies, to_examples
from kft.provenance import load_run_pipeline
from kft.run_operations.asked_model import configure_stated
from kft.run_operations.run_data import load_run_splits
from kft.runs import RunDirectory, open_run
from kft.training import Trained, load_trained

NUM_MISTAKES = 6
"""Mistakes that are explained if no files are given."""


@dataclass(frozen=True, eq=False)
class Explained:
    """Explanations of a run's answers.

    Attributes:
        explanations: One for each explained part of each answer.
        folder: Folder with the overlays and explanations.json.
    """

    explanations: tuple[Explanation, ...]
    folder: Path


def explain_run(
    path: Path,
    display: Display,
    files: Sequence[str] = (),
    *,
    mistakes: int = NUM_MISTAKES,
    folder: Path | None = None,
) -> Explained:
    """Explain answers of a finished run.

    Args:
        path: Path of the run.
        display: Shows the progress.
        files: Files to explain the answers about; none for the mistakes of the run's evaluation
            with the highest losses, which need its data.
        mistakes: Number of these mistakes.
        folder: Folder to write; by default `explanations` in the run, where its report finds them.

    Raises:
        RunError: There is no finished run at `path`, it judged no split, or its model cannot be
            explained.
        DataError: A file cannot be used, or the run's data are missing or have changed.
        StorageError: The run is not writable, and no folder is given.
    """
    run = open_run(path)
    if folder is None:
        run.check_writable()
        folder = run.explanations
    trained = load_trained(run)
    model = ExplainedModel(trained.model, trained.head, trained.stated.spec)
    with ExitStack() as held:
        if files:
            find_folder = held.enter_context(temporary_copies())
            options = CheckOptions(trained=trained.stated.trained, find_folder=find_folder)
            examples = _check(files, trained, options)
        else:
            examples = _find_mistakes(run, trained, mistakes, display)
        decoded = _decode(examples, trained)
    explainer = Explainer(model, load_modality(trained.stated.spec.modality))
    with display.track("Explanations", 2 * len(examples)) as advance:
        explanations = explainer.explain(examples.ids, decoded, advance)
    write_explanations(folder, explanations)
    return Explained(tuple(explanations), folder)


def _check(files: Sequence[str], trained: Trained, options: CheckOptions) -> Examples:
    paths = tuple(str(Path(file).absolute()) for file in files)
    given = Examples(tuple(files), Files(paths), np.zeros(len(files), np.int64))
    outcomes = check_files(given, configure_stated(trained.stated), options=options)
    bad = [outcome for outcome in outcomes if isinstance(outcome, Quarantined)]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(files)} files cannot be used. Repair or remove them.\n"
            f"{list_bad(bad)}"
        )
    checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
    return to_examples(checked, np.zeros(len(checked), np.int64))


def _find_mistakes(run: RunDirectory, trained: Trained, count: int, display: Display) -> Examples:
    """Find the examples of a run's evaluation with the most costly answers."""
    task = trained.head.task
    if task.companion is not None:
        raise DataError(
            f"mistakes are ranked for classes, labels and numbers, but this run answers "
            f"{task.nouns}. Name the files to explain."
        )
    split = run.find_judged()
    folder = run.evaluation(split)
    predictions = read_predictions(folder, task, trained.head.class_names)
    worst = rank_mistakes(task, predictions.outputs, predictions.targets).places[:count]
    splits = load_run_splits(
        run,
        load_run_pipeline(run),
        display,
        alternative=" To explain answers about other files, name them.",
    )
    examples = splits.get(split)
    places = {name: place for place, name in enumerate(examples.ids)}
    return examples.take([places[predictions.files[place]] for place in worst])


def _decode(examples: Examples, trained: Trained) -> list[dict[str, np.ndarray]]:
    """Decode each example to the model's inputs by name."""
    with translate_read_errors(examples, trained.decoder):
        decoded = make_reader(examples, trained.decoder)(tf.range(len(examples)))
        refuse_changed(examples)
    arrays = {name: values.numpy() for name, values in to_inputs(decoded).items()}
    # Some decoders also give the place of the example in its file.
    names = list(trained.model.input)
    return [{name: arrays[name][place] for name in names} for place in range(len(examples))]
