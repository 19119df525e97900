"""Script that runs an export on files, in a process with TensorFlow but without kft.

It imports TensorFlow, then reads [EXPORT, [FILE, ...], OUTPUT.npz] in JSON from its standard input.
If there is nothing to read, the process that started it has ended, and it ends too.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

# Small, so that an export is tested on several batches and on a partial batch.
BATCH_SIZE = 8
CARD = "assets.extra/kft.json"


def answer(export: str, files: list[str]) -> dict[str, np.ndarray]:
    """Call the `serving_default` signature of an export on files; arrays by name of the output."""
    card = Path(export, CARD)
    stated = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    for package in stated.get("packages", ()):
        importlib.import_module(package.replace("-", "_"))
    loaded = tf.saved_model.load(export)
    serve = loaded.signatures["serving_default"]
    answers: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(files), BATCH_SIZE):
        encoded = [tf.io.read_file(file) for file in files[start : start + BATCH_SIZE]]
        for name, values in serve(encoded=tf.stack(encoded)).items():
            answers.setdefault(name, []).append(values.numpy())
    joined = {name: np.concatenate(_pad(parts)) for name, parts in answers.items()}
    # Text becomes fixed-width Unicode, because object arrays would need pickle.
    for name, values in joined.items():
        if values.dtype == object:
            joined[name] = np.array(
                [[item.decode() for item in row] for row in values.reshape(len(values), -1)]
            )
    return joined


def _pad(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Pad batches with zeros to one size: answers are as large as the largest of their batch."""
    size = np.max([part.shape[1:] for part in parts], axis=0)
    if all(part.shape[1:] == tuple(size) for part in parts):
        return parts
    around = [[(0, n - m) for n, m in zip(size, part.shape[1:], strict=True)] for part in parts]
    return [np.pad(part, [(0, 0), *each]) for part, each in zip(parts, around, strict=True)]


def main(export: str, files: list[str], output: str) -> None:
    """Write the export's answers about the files to an npz file."""
    answers = answer(export, files)
    assert "kft" not in sys.modules, "an export must not need kft"
    np.savez(output, allow_pickle=False, **answers)


if __name__ == "__main__":
    asked = sys.stdin.read()
    if asked:
        main(*json.loads(asked))
