"""The demonstrations work offline, with the code of the installed command."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from kft.cli.main import main


@pytest.mark.full
@pytest.mark.parametrize(
    ("options", "pretrained", "plain", "least", "asked"),
    [
        ((), "then fine-tuned", "from random weights", 0.85, r"holdout/(\w+)/\d+\.png\s+(\w+)"),
        (
            ("--text",),
            "of other documentation",
            "of the same words",
            0.7,
            r"holdout/(\w+)/\d+\.txt\s+(\w+)",
        ),
        (
            ("--audio",),
            "then fine-tuned",
            "from random weights",
            0.85,
            r"holdout/(\w+)/\d+\.wav\s+(\w+)",
        ),
        (
            ("--video",),
            "the order of frames",
            "the mean over frames",
            0.8,
            r"holdout/(\w+)/\d+\.gif\s+(\w+)",
        ),
    ],
    ids=["pictures", "texts", "recordings", "videos"],
)
def test_the_demo_shows_the_gain_of_pretraining_and_a_served_export(
    options, pretrained, plain, least, asked, tmp_path
):
    result = CliRunner().invoke(main, ["demo", *options, "--directory", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    gained, from_random = (
        float(re.search(rf"{title}\s+([\d.]+)", result.stdout)[1]) for title in (pretrained, plain)
    )
    assert gained > from_random
    assert gained > least
    # What the export answered, in a process without kft.
    answers = re.findall(asked, result.stdout)
    assert len(answers) >= 4
    assert sum(true == served for true, served in answers) >= len(answers) - 1


def test_the_documentation_that_teaches_words_holds_none_of_the_labelled_texts(tmp_path):
    from kft.demos import texts

    assert not {f"scipy.{topic}" for topic in texts.TOPICS} & set(texts.UNLABELLED)
    body = "sin(x, out=None)\n\nSine of `x`.\n\nMore.\n\nParameters\n----------\nx : float"
    assert texts._first_paragraphs(body) == "Sine of `x`. More."
    names = [f"{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
    orders = [np.random.default_rng(seed).permutation(names) for seed in range(3)]
    words, vectors = texts.learn_vectors([" ".join(order) for order in orders])
    assert words == sorted(names) and vectors.shape == (64, texts.DIMENSIONS)


def test_sounds_differ_in_nothing_but_their_course_and_are_the_same_each_time():
    from kft.demos import recordings

    made = [
        recordings.make_sound(course, np.random.default_rng(0))
        for course in (recordings.FIRST["rising"], recordings.FIRST["falling"])
    ]
    assert len(made[0]) == len(made[1]) and np.abs(made[0]).max() <= 0.5
    assert not np.allclose(*made)
    again = recordings.make_sound(recordings.FIRST["rising"], np.random.default_rng(0))
    assert np.array_equal(made[0], again)
