"""Texts, recordings and videos: backbones of kft beside what their users would take.

Run: KFT_SHARED=../shared python benchmarks/modalities.py [--only PART …] [--rows WORD] [--quick]

All on the same splits: sst2 as it is split; sms_spam without exact duplicates, split
70/30 anew for each seed; spoken_digits by speakers, two of six judged by a model that
did not hear them; moving shapes made anew for each seed, whose class no single frame
shows. MiniLM-L3 is the default backbone of texts, by the default strategy. Peers:
scikit-learn's TF-IDF of words and pairs, YAMNet's mean features, or the mean frame, with
logistic regression, and an LSTM or ConvLSTM of plain Keras. A standard error is that of
the accuracy of so many examples. Each run is a new process, with caches of its own that
begin empty.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import call
from modality_sets import Table, write_digits, write_shapes, write_sms, write_sst2
from report import (
    make_parser,
    median_cell,
    print_header,
    print_section,
    print_table,
    ratio_cell,
    use_shared,
)

SEEDS = (0, 1, 2)
HEADINGS = ("data", "", "accuracy", "seconds", "less the best peer, in standard errors")
GLOVE = "weights/text/glove_6B_50d_top20k.txt"
YAMNET = "weights/yamnet_256_backbone.keras"
SECONDS_HEARD = 0.6
EPOCHS = 10
VIDEO_EPOCHS = 30
MAX_TOKENS = 48
RANDOM_LSTM = ("strategy.name=full", "strategy.learning_rate=1e-3", "strategy.duration=3 epochs")


@dataclass(frozen=True)
class Sitting:
    """What was asked for.

    Attributes:
        shared: Real data and weights.
        scratch: For tables; vanishes.
        seeds: Of training, and of the splits that are made.
        is_quick: Whether less of everything will do.
        rows: Word in the names of kft's rows that are wanted.
    """

    shared: Path
    scratch: Path
    seeds: tuple[int, ...]
    is_quick: bool
    rows: str


def main() -> None:
    """Print the tables as Markdown."""
    parts: dict[str, Callable[[Sitting], None]] = {
        "texts": show_texts,
        "recordings": show_recordings,
        "videos": show_videos,
        "speed": show_speed,
    }
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--rows", default="", help="kft's rows whose name has this; peers always")
    asked = parser.parse_args()
    shared = use_shared()
    os.environ["KFT_WEIGHTS_DIR"] = str(shared / "weights/text")
    print_header("Texts, recordings and videos", asked.seeds)
    with tempfile.TemporaryDirectory() as scratch:
        for part in asked.only:
            seeds = asked.seeds[:1] if asked.quick else asked.seeds
            parts[part](Sitting(shared, Path(scratch), tuple(seeds), asked.quick, asked.rows))


def show_texts(sitting: Sitting) -> None:
    """Print a row for each backbone and peer on sst2 and sms_spam."""
    print_section(
        "Accuracy on the holdout (median of the seeds, and each), and seconds of the run",
        "Asked for: MiniLM-L3 at least .84 on sst2, and on both sets at least the best peer less "
        "one standard error.",
    )
    size = 200 if sitting.is_quick else None
    noise = write_noise(sitting.shared / GLOVE, sitting.scratch / "noise.txt")
    glove = ("backbone.name=word_vectors", f"backbone.weights={sitting.shared / GLOVE}")
    random = ("backbone.name=word_vectors", f"backbone.weights={noise}")
    kft: dict[str, tuple[str, ...]] = {
        "MiniLM-L3 (default)": (),
        "GloVe, mean": glove,
        "GloVe, CNN": (*glove, "backbone.options.encoder=cnn"),
        "GloVe, LSTM": (*glove, "backbone.options.encoder=lstm"),
        "LSTM, all random": (*random, "backbone.options.encoder=lstm", *RANDOM_LSTM),
        "characters, random": (
            "backbone.name=small_characters",
            "backbone.weights=random",
            "strategy.duration=6 epochs",
        ),
    }
    peers = {
        "TF-IDF, scikit-learn": lambda table, seed: call_peer("tfidf", table),
        "LSTM, plain Keras": lambda table, seed: call_peer("plain_lstm", table, seed=seed),
    }
    tables: dict[str, Callable[[int], Table]] = {
        "sst2": lambda seed: write_sst2(sitting.shared, sitting.scratch, size=size),
        "sms_spam": lambda seed: write_sms(sitting.shared, sitting.scratch, seed, size=size),
    }
    rows = (
        row for name, make in tables.items() for row in compare(name, make, kft, peers, sitting)
    )
    print_table(HEADINGS, rows)


def show_recordings(sitting: Sitting) -> None:
    """Print a row for each backbone and peer on spoken_digits."""
    print_section("Spoken digits of speakers that were not heard in training")
    yamnet = (
        "backbone.name=yamnet",
        "backbone.options.layers=6",
        f"backbone.weights={sitting.shared / YAMNET}",
    )
    mobilenet = (
        "backbone.name=logmel:mobilenet_v2",
        "backbone.options.alpha=0.35",
        f"backbone.weights={find_mobilenet(sitting.shared)}",
        "strategy.name=linear_probe",
    )
    kft = {
        "YAMNet, probe": (*yamnet, "strategy.name=linear_probe"),
        "YAMNet, fine-tuned": (*yamnet, "strategy.name=lp_ft"),
        "YAMNet (default strategy)": yamnet,
        "log-mel, MobileNetV2 0.35, probe": mobilenet,
    }
    peers = {
        "YAMNet features, scikit-learn": lambda table, seed: call_peer(
            "yamnet_features", table, weights=str(sitting.shared / YAMNET), seconds=SECONDS_HEARD
        )
    }
    takes = 2 if sitting.is_quick else 10
    rows = compare(
        "spoken_digits",
        lambda seed: write_digits(sitting.shared, sitting.scratch, seed, takes=takes),
        kft,
        peers,
        sitting,
    )
    print_table(HEADINGS, rows)


def show_videos(sitting: Sitting) -> None:
    """Print a row for each backbone and peer on moving shapes."""
    print_section(
        "Shapes that move right, left, down or up, from random weights",
        "Asked for: at least .95 by a temporal model, and chance (.25) by the mean over frames.",
    )
    trained = (
        *("backbone.weights=random", "backbone.input_size=32", "strategy.name=full"),
        f"strategy.duration={VIDEO_EPOCHS} epochs",
        "strategy.learning_rate=3e-3",
        "backbone.options.frames=12",
    )
    over_frames = (*trained, "backbone.name=frames:small_cnn", "backbone.options.width=4")
    kft = {
        "small_3d_cnn": (*trained, "backbone.name=small_3d_cnn", "backbone.options.width=8"),
        "frames:small_cnn, mean": over_frames,
        "frames:small_cnn, LSTM": (*over_frames, "backbone.options.temporal=lstm"),
        "frames:small_cnn, attention": (*over_frames, "backbone.options.temporal=attention"),
    }
    peers = {
        "mean frame, scikit-learn": lambda table, seed: call_peer("mean_frame", table),
        "ConvLSTM, plain Keras": lambda table, seed: call_peer(
            "plain_convlstm", table, seed=seed, epochs=VIDEO_EPOCHS
        ),
    }
    per_class = 9 if sitting.is_quick else 60
    rows = compare(
        "moving shapes",
        lambda seed: write_shapes(sitting.scratch, seed, per_class=per_class),
        kft,
        peers,
        sitting,
    )
    print_table(HEADINGS, rows)


def show_speed(sitting: Sitting) -> None:
    """Print how long a head on a frozen backbone takes, its features stored or computed anew."""
    print_section(
        f"A head on a frozen backbone: a probe of kft beside {EPOCHS} epochs of plain Keras",
        "Seconds from the first look at the data to the fitted head; imports and, for kft, the "
        "loading of the backbone are before.",
    )
    size = 100 if sitting.is_quick else 1000
    texts = write_sst2(sitting.shared, sitting.scratch, size=size)
    digits = write_digits(sitting.shared, sitting.scratch, 0, takes=2 if sitting.is_quick else 10)
    rows = []
    for name, table, settings, peer in (
        (
            f"MiniLM-L3, {size} texts of {MAX_TOKENS} tokens",
            texts,
            (f"data.text.max_tokens={MAX_TOKENS}",),
            {
                "function": "frozen_bert",
                "folder": str(sitting.shared / "weights/text/minilm_l3"),
                "max_tokens": MAX_TOKENS,
            },
        ),
        (
            "YAMNet, spoken digits of four speakers",
            digits,
            (
                "backbone.name=yamnet",
                "backbone.options.layers=6",
                f"backbone.weights={sitting.shared / YAMNET}",
                f"data.audio.seconds={SECONDS_HEARD}",
            ),
            {
                "function": "frozen_yamnet",
                "weights": str(sitting.shared / YAMNET),
                "seconds": SECONDS_HEARD,
            },
        ),
    ):
        probe = ("strategy.name=linear_probe", "data.validation=0")
        own, others = [], []
        for _ in sitting.seeds:
            own.append(run_kft(table, (*settings, *probe), 0)["fit_seconds"])
            arguments = {key: value for key, value in peer.items() if key != "function"}
            others.append(
                call(
                    f"modality_peers:{peer['function']}",
                    train=table.read("train"),
                    epochs=EPOCHS,
                    **arguments,
                )
            )
        rows.append((name, median_cell(own), median_cell(others), ratio_cell(own, others)))
    print_table(("backbone and data", "kft", "plain Keras", "ratio"), rows)


def compare(
    name: str,
    make_table: Callable[[int], Table],
    kft: Mapping[str, tuple[str, ...]],
    peers: Mapping[str, Callable[[Table, int], dict[str, Any]]],
    sitting: Sitting,
) -> list[tuple[str, ...]]:
    """Run kft and its peers in turns on each seed's table; make their rows."""
    kft = {title: settings for title, settings in kft.items() if sitting.rows in title}
    found: dict[str, list[dict[str, Any]]] = {title: [] for title in (*kft, *peers)}
    for seed in sitting.seeds:
        table = make_table(seed)
        for title, settings in kft.items():
            found[title].append(run_kft(table, settings, seed))
        for title, run in peers.items():
            found[title].append(run(table, seed))
        num_judged = len(table.read("holdout")[0])
    medians = {
        title: statistics.median(run["accuracy"] for run in runs) for title, runs in found.items()
    }
    best = max(medians[title] for title in peers)
    error = math.sqrt(best * (1 - best) / num_judged)
    return [
        (
            name,
            title,
            median_cell([run["accuracy"] for run in runs], 3),
            f"{statistics.median(run['seconds'] for run in runs):.0f}",
            "" if title in peers else f"{(medians[title] - best) / error:+.1f}",
        )
        for title, runs in found.items()
    ]


def run_kft(table: Table, settings: Sequence[str], seed: int) -> dict[str, Any]:
    """One run of kft; see `own.train`."""
    found: dict[str, Any] = call(
        "own:train", data=str(table.path), settings=(*table.settings, *settings), seed=seed
    )
    return found


def call_peer(function: str, table: Table, **settings: Any) -> dict[str, Any]:
    """A peer, which learns from the training and validation examples."""
    found: dict[str, Any] = call(
        f"modality_peers:{function}",
        train=table.read("train", "validation"),
        holdout=table.read("holdout"),
        **settings,
    )
    return found


def write_noise(vectors: Path, path: Path) -> Path:
    """Write random vectors for the words of a file of vectors."""
    lines = vectors.read_text(encoding="utf-8").splitlines()
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, (len(lines), 64))
    words = (line.partition(" ")[0] for line in lines)
    with path.open("w", encoding="utf-8") as file:
        for word, values in zip(words, noise, strict=True):
            file.write(f"{word} {' '.join(f'{value:.4f}' for value in values)}\n")
    return path


def find_mobilenet(shared: Path) -> Path:
    """The weights of MobileNetV2 0.35."""
    return next((shared / "weights").glob("mobilenet_v2_*_0.35_224_no_top.h5"))


if __name__ == "__main__":
    main()
