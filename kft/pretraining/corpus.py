"""Texts without labels: the lines of files, or the rows of a table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.data.loading import find_source
from kft.data.paths import describe_failure
from kft.data.refusing import refuse_bad
from kft.data.sources.table_columns import choose_text_columns
from kft.data.sources.table_reading import open_table
from kft.data.sources.walking import Walker
from kft.errors import DataError
from kft.examples import Examples, Progress, Quarantined, Values
from kft.modalities import Modality
from kft.modalities.checked import Checked

# One text in 20 is not trained on.
_VALIDATION = 20
_FEWEST = 40


@dataclass(frozen=True)
class Corpus:
    """Texts without labels.

    Attributes:
        train: Texts to learn from; their targets are zeros.
        validation: Other texts, to judge the model on.
        fingerprint: SHA-256 over all texts, independent of their order.
        quarantined: Texts that cannot be used, with reasons.
        num_repeated: Texts left out because another one is equal.
    """

    train: Examples
    validation: Examples
    fingerprint: str
    quarantined: tuple[Quarantined, ...]
    num_repeated: int


def load_corpus(config: DataConfig, modality: Modality, progress: Progress | None = None) -> Corpus:
    """Read the texts of a source: labels, if there are any, are not read.

    The source is a text file or a folder of them, each line of which is a text, or a table with
    columns of text. A text belongs to validation by its digest, wherever it stands.

    Args:
        config: The `data` section.
        modality: Modality of the texts.
        progress: Called with (texts checked, texts in all).

    Raises:
        DataError: There are no texts, too few, or some cannot be used and `data.on_invalid_file`
            is `stop`.
    """
    path = Path(config.path or "").expanduser().absolute()
    found: dict[str, bytes] = {}
    bad: list[Quarantined] = []
    if path.is_file() and modality.has_ending(path.name):
        found.update(_read_lines(path, path.name))
    elif path.is_dir():
        walker = Walker(path, modality, config.folders.allowed_roots)
        for file in walker.walk(path):
            found.update(_read_lines(Path(file), str(Path(file).relative_to(path))))
        bad += walker.quarantined
    elif find_source(config) == "table":
        found.update(_read_rows(path, config, bad))
    else:
        raise DataError(
            f"data.path: {path} holds no texts that pretraining reads. Give a .txt file or a "
            "folder of them (each line is a text), or a table with data.table.text_columns."
        )
    every = Examples(tuple(found), Values(tuple(found.values())), np.zeros(len(found), np.int64))
    outcomes = check_files(every, config, progress)
    bad += [each for each in outcomes if isinstance(each, Quarantined)]
    refuse_bad(
        bad,
        len(found) + len(bad),
        on_invalid_file=config.on_invalid_file,
        source=str(path),
        what=modality.nouns,
    )
    usable = [each for each in outcomes if isinstance(each, Checked)]
    kept = list({each.digest: each for each in reversed(usable)}.values())[::-1]
    is_held = [int(each.digest[:8], 16) % _VALIDATION == 0 for each in kept]
    if len(kept) < _FEWEST or all(is_held) or not any(is_held):
        raise DataError(
            f"{path}: {len(kept)} different texts. Pretraining needs at least {_FEWEST}, and some "
            "thousands to be of use."
        )
    return Corpus(
        _make([each for each, held in zip(kept, is_held, strict=True) if not held]),
        _make([each for each, held in zip(kept, is_held, strict=True) if held]),
        hashlib.sha256("".join(sorted(each.digest for each in kept)).encode()).hexdigest(),
        tuple(bad),
        len(usable) - len(kept),
    )


def _make(texts: list[Checked]) -> Examples:
    contents = tuple(each.content or b"" for each in texts)
    names = tuple(each.name for each in texts)
    return Examples(names, Values(contents), np.zeros(len(texts), np.int64))


def _read_lines(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Read the lines of a file that are not blank, each with its name."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path}: {describe_failure(str(path), error)}.") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{name}, line {number}", line.removesuffix(b"\r")


def _read_rows(
    path: Path, config: DataConfig, bad: list[Quarantined]
) -> Iterator[tuple[str, bytes]]:
    """Read the rows of a table, each with its name; what cannot be read goes to `bad`."""
    table = open_table(path)
    columns = choose_text_columns(table, config)
    if not columns:
        raise DataError(
            f"{path}: no column of texts. Name it with data.table.text_columns=[NAME]. Columns: "
            f"{', '.join(filter(None, table.header))}."
        )
    for row in table.read(columns):
        name = f"{table.unit} {row.number}"
        if row.problem is not None:
            bad.append(Quarantined(name, str(path), row.problem))
        else:
            text = config.table.separator.join(row.cells)
            yield name, text.encode("utf-8", "surrogatepass")
