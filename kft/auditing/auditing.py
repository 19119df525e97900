"""Run of an audit: find and inspect the examples, split them as training would, and check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kft.auditing.audit import Audit
from kft.auditing.boxes import find_box_problems
from kft.auditing.classes import find_class_problems
from kft.auditing.copies import find_copies, find_same_content
from kft.auditing.labels import find_label_problems, predict_out_of_fold
from kft.auditing.masks import find_mask_problems
from kft.auditing.outliers import find_far_features, find_odd_ones, measure_distances
from kft.auditing.overview import make_overview
from kft.auditing.seen_examples import SeenExamples
from kft.auditing.shared_groups import find_shared_groups
from kft.auditing.shortcut_features import find_shortcut_features
from kft.auditing.vectors import extract_vectors, find_obstacle
from kft.backbones.defaults import choose_backbone
from kft.config import Pipeline
from kft.data.admission.admit import sort_out
from kft.data.admission.check_files import check_files
from kft.data.class_names import refuse_similar
from kft.data.loading import find_examples, refuse_unlearnable
from kft.data.splitting.split import split_examples
from kft.display import Display
from kft.errors import DataError
from kft.examples import Calibration, Examples, Quarantined, SplitName
from kft.findings import Finding, Flagged, count, sort_findings
from kft.modalities import choose_modality
from kft.modalities.checked import Checked, CheckOptions, summarise_targets
from kft.printing import readable
from kft.runs.storage import check_cache

Alike = Sequence[Sequence[int]]
# With fewer examples, labels cannot be judged by other examples.
_FEWEST = 20


@dataclass(frozen=True)
class _InspectedData:
    """Result of the file check, and the data that training would use.

    Attributes:
        seen: All usable files, with their splits.
        used: Files that training would use, without copies that contradict each other or leak.
        quarantined: Files that training would not use.
        ignored: Reason -> number of ignored files.
        noticed: Remark of the source -> number of examples.
        source: Name of the data.
        notes: Sentences about values that were read in a different form.
        found: Findings of the source.
        judged: Targets of the holdout; None if training would refuse the data.
        refusal: Reason why training would refuse the data, or an empty string.
    """

    seen: SeenExamples
    used: SeenExamples
    quarantined: tuple[Quarantined, ...]
    ignored: Mapping[str, int]
    noticed: Mapping[str, int]
    source: str
    notes: tuple[str, ...]
    found: tuple[Finding, ...]
    judged: np.ndarray | None
    refusal: str


def audit_data(pipeline: Pipeline, display: Display, *, with_labels: bool = True) -> Audit:
    """Search for problems in the data of a pipeline, without changing anything.

    Memory holds a small record of each example, and only a few examples at a time.

    Args:
        pipeline: Pipeline with the data, and the backbone that judges the labels.
        display: Display of the progress.
        with_labels: Whether to run the checks that need the backbone: doubtful labels and
            outliers by features.

    Raises:
        DataError: There are no data, or their layout is unknown.
        BackboneError: The backbone is unknown, or does not match its weights.
        StorageError: The cache folder is not writable.
    """
    check_cache()
    pipeline = choose_backbone(pipeline)
    inspected = _inspect(pipeline, display)
    seen = inspected.seen
    modality = seen.modality
    alike = modality.find_look_alikes(seen.checked)
    findings = [
        *_find_refused(inspected),
        *inspected.found,
        *find_class_problems(inspected.used, inspected.judged),
        *find_box_problems(inspected.used),
        *find_mask_problems(inspected.used),
        *_find_noticed(seen),
        *find_copies(seen, alike),
        *find_shared_groups(seen, pipeline.data.split),
        *find_shortcut_features(seen, [*find_same_content(seen), *alike]),
        *modality.find_poor(seen.checked),
        *find_odd_ones(seen),
    ]
    skipped = "Labels: skipped because of --no-labels."
    if with_labels:
        found, skipped = _find_by_features(seen, alike, pipeline, display)
        findings += found
    return Audit(
        inspected.source,
        make_overview(
            inspected.used, num_quarantined=len(inspected.quarantined), ignored=inspected.ignored
        ),
        sort_findings(findings),
        (skipped,) if skipped else (),
        seen,
    )


def _inspect(pipeline: Pipeline, display: Display) -> _InspectedData:
    # The audit reports bad examples instead of refusing them.
    config = pipeline.data.model_copy(
        update={"on_invalid_file": "quarantine", "similar_classes": "keep"}
    )
    found = find_examples(config, output_folders=pipeline.output_folders)
    modality = choose_modality(config)
    with display.track(f"Checking every {modality.noun}", len(found.examples)) as advance:
        options = CheckOptions(
            decode=False,
            with_likeness=True,
            with_measures=True,
            target_names=found.class_names,
        )
        outcomes = check_files(found.examples, config, advance, options=options)
    places = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Checked)]
    checked = tuple(outcome for outcome in outcomes if isinstance(outcome, Checked))
    seen = SeenExamples(
        modality,
        checked,
        summarise_targets(checked, found.examples.targets[places]),
        found.task,
        found.class_names,
        found.given_splits and tuple(found.given_splits[i] for i in places),
    )
    refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Quarantined))
    quarantined, parts, refusal = (*found.quarantined, *refused), None, ""
    calibration = modality.calibrate(seen.checked, modality.settings_of(config))
    try:
        admitted = sort_out(found, outcomes, config)
        calibration = admitted.calibration
        quarantined = admitted.found.quarantined
        parts = split_examples(admitted.found, config, alike=admitted.alike)
        if pipeline.data.similar_classes == "refuse":
            refuse_similar(admitted.found)
        refuse_unlearnable(admitted.found)
    except DataError as error:
        # The other lines name files, which the findings name too.
        refusal = str(error).splitlines()[0]
    left_out = {file.name for file in quarantined}
    seen = _show_calibrated(calibration, _name_splits(seen, parts))
    used = [i for i, name in enumerate(seen.names) if readable(name) not in left_out]
    return _InspectedData(
        seen,
        seen.take(used),
        quarantined,
        found.ignored,
        found.noticed,
        found.source,
        found.notes,
        found.findings,
        None if parts is None else parts["holdout"].targets,
        refusal,
    )


def _show_calibrated(calibration: Calibration | None, seen: SeenExamples) -> SeenExamples:
    """Adapt the measures to the calibration of the data set."""
    if calibration is None:
        return seen
    shown = tuple(seen.modality.show_calibrated(each, calibration) for each in seen.checked)
    return replace(seen, checked=shown, calibration=calibration)


def _name_splits(seen: SeenExamples, parts: Mapping[SplitName, Examples] | None) -> SeenExamples:
    """Add the split of each example in training, or else in the source."""
    if parts is None:
        return seen
    split_of = {name: split for split, examples in parts.items() for name in examples.ids}
    # Examples that training leaves out keep the split of the source.
    given: Sequence[SplitName] = seen.splits or ["train"] * len(seen)
    splits: list[SplitName] = [split_of.get(name, given[i]) for i, name in enumerate(seen.names)]
    return replace(seen, splits=tuple(splits))


def _find_refused(inspected: _InspectedData) -> Iterator[Finding]:
    if inspected.refusal:
        yield Finding("cannot_train", "problem", f"Training would refuse: {inspected.refusal}")
    if inspected.notes or inspected.noticed:
        sentences = list(inspected.notes)
        nouns = inspected.seen.modality.nouns.capitalize()
        counted = "; ".join(f"{number:,} {word}" for word, number in inspected.noticed.items())
        sentences += [f"{nouns}: {counted}. Check that this is intended."] if counted else []
        yield Finding("understood", "note", " ".join(sentences))
    if inspected.quarantined:
        yield Finding(
            "quarantined",
            "warning",
            f"{count(len(inspected.quarantined), 'file')} cannot be used, so training would leave "
            "them out. Fix or remove them.",
            tuple(Flagged(file.name, file.reason) for file in inspected.quarantined),
        )


def _find_noticed(seen: SeenExamples) -> Iterator[Finding]:
    """Find examples that are used in converted form, or with remarks."""
    converted = [each for each in seen.checked if each.repaired]
    if converted:
        yield Finding(
            "converted",
            "note",
            f"{seen.count(len(converted))} would be decoded wrongly. Converted copies "
            "replace them, in training and in prediction.",
            tuple(Flagged(each.name, ", ".join(each.repaired)) for each in converted),
        )
    noticed = [each for each in seen.checked if each.noticed]
    if noticed:
        yield Finding(
            "noticed",
            "note",
            f"{seen.count(len(noticed))} used although the file is unusual.",
            tuple(Flagged(each.name, ", ".join(each.noticed)) for each in noticed),
        )


def _find_by_features(
    seen: SeenExamples, alike: Alike, pipeline: Pipeline, display: Display
) -> tuple[list[Finding], str]:
    """Run the checks by the backbone's features; returns findings, and the reason if skipped."""
    classes = seen.classes
    if classes is None:
        return [], "Labels: only classes are checked, not labels or numbers."
    if len(seen) < _FEWEST or np.bincount(classes).max() == len(classes):
        return [], f"Labels: {seen.count(len(seen))} are too few to judge each by the others."
    obstacle = find_obstacle(pipeline.backbone, seen.modality)
    if obstacle:
        return [], f"Labels: {obstacle}."
    vectors = extract_vectors(seen, pipeline, display)
    with display.track("Judging labels"):
        probabilities = predict_out_of_fold(
            vectors.values,
            classes,
            len(seen.class_names),
            alike=[*find_same_content(seen), *alike],
        )
        distances = measure_distances(vectors.values, classes)
    findings, skipped = find_label_problems(seen, probabilities, vectors.backbone)
    return [*findings, *find_far_features(seen, distances, vectors.backbone)], skipped
