from __future__ import annotations

from kft.data.admission.copies import find_bad_copies
from kft.modalities.near_duplicates import find_same


def test_the_same_picture_under_two_labels_goes_and_the_others_are_named():
    bad = find_bad_copies(
        ["a", "b", "c", "d"], ["1", "1", "1", "2"], ["x", "y", "x", "x"], None, noun="picture"
    )
    assert bad.keys() == {0, 1, 2}
    assert bad[0] == (
        "the same picture as b, which is labelled 'y', not 'x'; decide which is right, and remove "
        "the other file"
    )
    assert "as a, which is labelled 'x', not 'y'" in bad[1]


def test_the_same_picture_in_two_given_splits_stays_where_it_is_judged():
    names, digests, labels = ["a", "b", "c", "d"], ["1", "1", "1", "2"], ["x"] * 4
    splits = ["train", "holdout", "validation", "train"]
    assert find_bad_copies(names, digests, labels, splits, noun="picture") == {
        0: "the same picture as b, which is in the holdout split",
        2: "the same picture as b, which is in the holdout split",
    }
    splits = ["train", "train", "validation", "train"]
    assert find_bad_copies(names, digests, labels, splits, noun="picture").keys() == {0, 1}
    assert find_bad_copies(names, digests, labels, ["train"] * 4, noun="picture") == {}
    assert find_bad_copies(names, digests, labels, None, noun="picture") == {}


def test_the_copies_among_real_messages_are_all_found_whatever_is_compared(shared):
    # Contents are what is compared, and a text is as good as a picture's digest.
    lines = (shared / "data/text/sms_spam/sms.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    labels, messages = zip(*(line.split("\t", 1) for line in lines), strict=True)
    sets = find_same(messages)
    assert sum(len(places) - 1 for places in sets) == 403
    # Each message has one label only, so that none contradicts another.
    names = [str(line) for line in range(len(lines))]
    assert find_bad_copies(names, messages, labels, None, noun="picture") == {}
    assert len(find_bad_copies(names, messages, ("ham", *labels[:-1]), None, noun="picture")) > 0
