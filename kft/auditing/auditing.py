"""Look at everything once: find, inspect, split as training would, and check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kft.auditing.audit import Audit, Finding, Flagged, count, sort_findings
from kft.auditing.classes import find_class_problems
from kft.auditing.copies import find_copies, find_same_content
from kft.auditing.giveaways import find_giveaways
from kft.auditing.labels import find_label_problems, predict_out_of_fold
from kft.auditing.outliers import find_far_features, find_odd_ones, measure_distances
from kft.auditing.overview import make_overview
from kft.auditing.pictures import Pictures
from kft.auditing.quality import find_poor
from kft.auditing.vectors import extract_vectors, find_missing_weights
from kft.config import Pipeline
from kft.data.admission.admit import sort_out
from kft.data.admission.check_files import inspect_files
from kft.data.class_names import refuse_similar
from kft.data.loading import find_examples, refuse_unlearnable
from kft.data.splitting.split import split_examples
from kft.display import Display
from kft.errors import DataError
from kft.examples import Depth, Examples, Quarantined, SplitName
from kft.modalities.image.depth import find_depth
from kft.modalities.image.inspection import Inspection
from kft.modalities.image.near_duplicates import find_look_alikes
from kft.printing import readable
from kft.runs.storage import check_cache

Alike = Sequence[Sequence[int]]
# Fewer pictures are no ground to judge others by.
_FEWEST = 20


@dataclass(frozen=True)
class _Looked:
    """What the gate saw, and what training would make of it.

    Attributes:
        pictures: Every file that can be used, with its split.
        used: Those that training would use: copies that contradict or leak are left out.
        quarantined: The others.
        ignored: Reason -> files left aside for it.
        noticed: Word on examples -> how many it is true of, as the source says it.
        source: What was read.
        notes: What was read otherwise than it is written.
        judged: Targets of what training would judge on; None where it would refuse.
        refusal: Why it would.
    """

    pictures: Pictures
    used: Pictures
    quarantined: tuple[Quarantined, ...]
    ignored: Mapping[str, int]
    noticed: Mapping[str, int]
    source: str
    notes: tuple[str, ...]
    judged: np.ndarray | None
    refusal: str


def audit_data(pipeline: Pipeline, display: Display, *, with_labels: bool = True) -> Audit:
    """Look for what is wrong with the data of a pipeline; changes nothing.

    Memory holds a small record of each picture, never more than a few of the pictures.

    Args:
        pipeline: Whose data, and whose backbone judges the labels.
        display: Shows the progress.
        with_labels: Do what needs the backbone: doubtful labels, and outliers by features.

    Raises:
        DataError: There are no data, or they are laid out in no way that is known.
        BackboneError: The backbone is not known, or does not fit its weights.
        StorageError: The cache folder cannot be written.
    """
    check_cache()
    looked = _look(pipeline, display)
    pictures = looked.pictures
    alike = find_look_alikes([each.likeness for each in pictures.inspections])
    findings = [
        *_find_refused(looked),
        *find_class_problems(looked.used, looked.judged),
        *_find_noticed(pictures),
        *find_copies(pictures, alike),
        *find_giveaways(pictures, [*find_same_content(pictures), *alike]),
        *find_poor(pictures),
        *find_odd_ones(pictures),
    ]
    skipped = "Labels: left out by --no-labels."
    if with_labels:
        found, skipped = _find_by_features(pictures, alike, pipeline, display)
        findings += found
    return Audit(
        looked.source,
        make_overview(looked.used, num_quarantined=len(looked.quarantined), ignored=looked.ignored),
        sort_findings(findings),
        (skipped,) if skipped else (),
        pictures,
    )


def _look(pipeline: Pipeline, display: Display) -> _Looked:
    # What is bad is told of, not refused.
    config = pipeline.data.model_copy(update={"on_bad": "quarantine", "similar_classes": "keep"})
    found = find_examples(config, output_folders=pipeline.output_folders)
    with display.track("Looking at every picture", len(found.examples)) as advance:
        outcomes = inspect_files(found.examples, config, advance)
    places = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Inspection)]
    pictures = Pictures(
        tuple(outcome for outcome in outcomes if isinstance(outcome, Inspection)),
        found.examples.targets[places],
        found.task,
        found.class_names,
        found.given_splits and tuple(found.given_splits[i] for i in places),
    )
    refused = tuple(outcome for outcome in outcomes if isinstance(outcome, Quarantined))
    quarantined, parts, refusal = (*found.quarantined, *refused), None, ""
    depth = find_depth(pictures.inspections, config.image.depth)
    try:
        admitted = sort_out(found, outcomes, config)
        depth = admitted.depth
        quarantined = admitted.found.quarantined
        parts = split_examples(admitted.found, config, alike=admitted.alike)
        if pipeline.data.similar_classes == "refuse":
            refuse_similar(admitted.found)
        refuse_unlearnable(admitted.found)
    except DataError as error:
        # What follows the first line names files, as findings do.
        refusal = str(error).splitlines()[0]
    left_out = {file.name for file in quarantined}
    pictures = _show_at(depth, _name_splits(pictures, parts))
    used = [i for i, name in enumerate(pictures.names) if readable(name) not in left_out]
    return _Looked(
        pictures,
        pictures.take(used),
        quarantined,
        found.ignored,
        found.noticed,
        found.source,
        found.notes,
        None if parts is None else parts["holdout"].targets,
        refusal,
    )


def _show_at(depth: Depth | None, pictures: Pictures) -> Pictures:
    """With what the graph shows of each at the depth of the data set."""
    if depth is None:
        return pictures
    shown = tuple(each.show_at(depth.bits) for each in pictures.inspections)
    return replace(pictures, inspections=shown, depth=depth)


def _name_splits(pictures: Pictures, parts: Mapping[SplitName, Examples] | None) -> Pictures:
    """With the split of each as training would have it, else as the source says."""
    if parts is None:
        return pictures
    split_of = {name: split for split, examples in parts.items() for name in examples.ids}
    # What training leaves out keeps the split of the source.
    given: Sequence[SplitName] = pictures.splits or ["train"] * len(pictures)
    splits: list[SplitName] = [
        split_of.get(name, given[i]) for i, name in enumerate(pictures.names)
    ]
    return replace(pictures, splits=tuple(splits))


def _find_refused(looked: _Looked) -> Iterator[Finding]:
    if looked.refusal:
        yield Finding("cannot_train", "problem", f"Training would refuse: {looked.refusal}")
    if looked.notes or looked.noticed:
        sentences = list(looked.notes)
        counted = "; ".join(f"{number:,} {word}" for word, number in looked.noticed.items())
        sentences += [f"Pictures: {counted}. Is that what is meant?"] if counted else []
        yield Finding("understood", "note", " ".join(sentences))
    if looked.quarantined:
        yield Finding(
            "quarantined",
            "warning",
            f"{count(len(looked.quarantined), 'file')} cannot be used, and training would leave "
            "out. Mend or remove them.",
            tuple(Flagged(file.name, file.reason) for file in looked.quarantined),
        )


def _find_noticed(pictures: Pictures) -> Iterator[Finding]:
    """What is used otherwise than its file says."""
    converted = [each for each in pictures.inspections if each.repaired]
    if converted:
        yield Finding(
            "converted",
            "note",
            f"{count(len(converted), 'picture')} would not be decoded as meant. Copies that are "
            "take their place, in training and in prediction.",
            tuple(Flagged(each.name, ", ".join(each.repaired)) for each in converted),
        )
    noticed = [each for each in pictures.inspections if each.noticed]
    if noticed:
        yield Finding(
            "noticed",
            "note",
            f"{count(len(noticed), 'picture')} used, though something about the file is unusual.",
            tuple(Flagged(each.name, ", ".join(each.noticed)) for each in noticed),
        )


def _find_by_features(
    pictures: Pictures, alike: Alike, pipeline: Pipeline, display: Display
) -> tuple[list[Finding], str]:
    """What the backbone's features tell; and what was not looked at, and why."""
    classes = pictures.classes
    if classes is None:
        return [], "Labels: only classes are checked, no labels or numbers."
    if len(pictures) < _FEWEST or np.bincount(classes).max() == len(classes):
        return [], f"Labels: {count(len(pictures), 'picture')} are too few to judge any by others."
    missing = find_missing_weights(pipeline.backbone)
    if missing:
        return [], f"Labels: {missing}."
    vectors = extract_vectors(pictures, pipeline, display)
    with display.track("Judging labels"):
        probabilities = predict_out_of_fold(
            vectors.values,
            classes,
            len(pictures.class_names),
            alike=[*find_same_content(pictures), *alike],
        )
        distances = measure_distances(vectors.values, classes)
    findings, skipped = find_label_problems(pictures, probabilities, vectors.backbone)
    return [*findings, *find_far_features(pictures, distances, vectors.backbone)], skipped
