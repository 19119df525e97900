"""The tokenizers in the graph, against the library that defines BERT's."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import tensorflow as tf

from kft.config import TextConfig
from kft.errors import ConfigError
from kft.examples import Examples, Files
from kft.modalities import load_modality
from kft.modalities.text.decoding import TextDecoder
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.lengths import count_tokens

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789éßñ漢字фяשאا")
WORDS = (
    *("the", "quick", "brown", "fox", "un", "happi", "play", "i", "ii", "ss", "n't", "'s"),
    *("The", "É", "café", "cafe", "über", "uber", ".", ",", "!", "?", "'", "-", "…", "。", "한"),
)
PIECES = tuple(f"##{each}" for each in (*LETTERS, "ing", "ed", "ness", "able", "é", "ock", "er"))
VOCABULARY = tuple(dict.fromkeys((*SPECIAL, *LETTERS, *WORDS, *PIECES)))
UNUSUAL = (
    "",
    "   \t\r\n ",
    "The quick brown fox's UNHAPPINESS, playing.",
    "don't wouldn't U.S. co-operate e-mail@example.com",
    "Café ÜBER naïve ﬁne İstanbul ΟΔΥΣΣΕΥΣ straße ẞ Ǆ",
    "漢字かな交じり文 と 한국어 텍스트",
    "שלום עולם مرحبا بالعالم \u202e reversed \u202c",
    "👩‍👩‍👧‍👦 🤖 e\u0301 \u200b zero \ufeff width \u00ad soft",
    "a\0b\x01c\x7fd\u0085e\u2028f\u00a0g\u3000h",
    "x" * 100 + " " + "x" * 101 + " " + "unhappiness" * 9,
    "[CLS] is text [SEP] and [MASK] too",
    "...!!!???---___``~~$$^^++",
    "\ue000 private \U000e0001 \U0010ffff \ufffd \u0378 unassigned",
    "Ａ full width ① ² ½ ㎏ ﷺ",
    "\u1100\u1161\u11a8 jamo 각 각하",
)


def make_spec(**changes) -> TextSpec:
    given = {"tokenizer": "wordpiece", "vocabulary": VOCABULARY, "max_tokens": 16} | changes
    if given["tokenizer"] == "wordpiece":
        given |= {"start": "[CLS]", "end": "[SEP]"}
    return TextSpec(**given)


def find_all_ids(spec: TextSpec, texts) -> list[list[int]]:
    """Ids of whole texts, without special tokens."""
    decoder = TextDecoder(spec)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((), tf.string)])
    def find(text):
        return decoder._find_ids(text, 2**31 - 1)

    encoded = (t if isinstance(t, bytes) else t.encode("utf-8", "surrogatepass") for t in texts)
    return [find(tf.constant(text)).numpy().tolist() for text in encoded]


def make_reference(vocabulary, *, lowercase: bool, strip_accents: bool | None = None):
    tokenizers = pytest.importorskip("tokenizers", reason="KerasHub, the extra `hub`, is missing")
    ids = {token: place for place, token in enumerate(vocabulary)}
    reference = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    reference.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents
    )
    reference.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return reference


def assert_same(spec: TextSpec, texts) -> None:
    reference = make_reference(spec.vocabulary, lowercase=spec.lowercase)
    unknown = spec.vocabulary.index("[UNK]")
    for text, ids in zip(texts, find_all_ids(spec, texts), strict=True):
        expected = reference.encode(text, add_special_tokens=False).ids or [unknown]
        assert ids == expected, ascii(text[:200])


@pytest.mark.parametrize("lowercase", [True, False])
def test_unusual_texts_have_the_tokens_of_the_reference(lowercase):
    assert_same(make_spec(lowercase=lowercase, strip_accents=lowercase), UNUSUAL)


@pytest.mark.parametrize("lowercase", [True, False])
def test_random_texts_have_the_tokens_of_the_reference(lowercase):
    drawn = random.Random(0)
    ranges = [(32, 126), (0xA0, 0x24F), (0x300, 0x5FF), (0x1E00, 0x206F), (0x3000, 0x30FF)]
    ranges += [(0x4E00, 0x4E40), (0xAC00, 0xAC40), (0x1F600, 0x1F640), (32, 126), (97, 122)]

    def draw() -> str:
        kinds = drawn.sample(ranges, 2)
        return "".join(chr(drawn.randint(*drawn.choice(kinds))) for _ in range(30))

    texts = [draw() for _ in range(300)]
    assert_same(make_spec(lowercase=lowercase, strip_accents=lowercase), texts)


def test_a_long_text_ends_where_its_first_tokens_do_and_is_counted_whole():
    spec = make_spec(max_tokens=6)
    text = "the quick fox " * 7_000
    decoded = TextDecoder(spec)(tf.constant(text.encode()))
    ids = [spec.vocabulary.index(word) for word in ("[CLS]", "the", "quick", "fox", "the", "[SEP]")]
    assert decoded["token_ids"].numpy().tolist() == ids
    assert decoded["padding_mask"].numpy().tolist() == [1] * 6
    assert count_tokens(spec, [text.encode(), b"the fox"]).tolist() == [21_002, 4]


@pytest.mark.parametrize("tokenizer", ["wordpiece", "words", "characters"])
def test_any_bytes_give_tokens_of_one_length_and_a_mask_of_what_is_no_padding(tokenizer):
    decoder = TextDecoder(make_spec(tokenizer=tokenizer))
    drawn = np.random.default_rng(0)
    contents = [text.encode("utf-8", "surrogatepass") for text in UNUSUAL]
    contents += [drawn.integers(0, 256, 40, np.uint8).tobytes() for _ in range(20)]
    contents += [b"\xed\xa0\x80", b"\xff\xfe\x00", b"\xe9t\xe9", bytes(3)]
    padding, unknown = VOCABULARY.index("[PAD]"), VOCABULARY.index("[UNK]")
    mapped = tf.map_fn(decoder, tf.constant(contents), fn_output_signature=decoder.output)
    ids, mask = mapped["token_ids"].numpy(), mapped["padding_mask"].numpy()
    assert ids.shape == mask.shape == (len(contents), 16)
    assert ids.dtype == mask.dtype == np.int32
    lengths = mask.sum(axis=1)
    assert (mask == (np.arange(16) < lengths[:, None])).all() and lengths.min() >= 1
    assert (ids[mask == 0] == padding).all()
    empty = ids[0][mask[0] == 1].tolist()
    assert empty == ([2, unknown, 3] if tokenizer == "wordpiece" else [unknown])


def test_bytes_that_are_not_utf8_are_dropped_like_control_characters():
    spec = make_spec()
    whole, damaged = find_all_ids(spec, [b"the fox", b"\xffth\xc3e\0 \xe2\x82f\x80ox\xf0"])
    assert whole == damaged


def test_words_are_known_as_a_whole_or_by_their_parts():
    vocabulary = ("[PAD]", "[UNK]", "do", "n't", "u.s.", "fox", ".", ",", "-", "well", "caf\u00e9")
    spec = make_spec(tokenizer="words", vocabulary=vocabulary, strip_accents=False)
    text = "Do n't , U.S. fox. well-fox zebra CAF\u00c9 don't"
    known = [vocabulary[place] for place in find_all_ids(spec, [text])[0]]
    assert known == [
        *("do", "n't", ",", "u.s.", "fox", ".", "well", "-", "fox", "[UNK]", "caf\u00e9"),
        *("[UNK]", "[UNK]", "[UNK]"),
    ]


def test_characters_are_normalised_and_spaces_alike():
    spec = make_spec(tokenizer="characters", vocabulary=("[PAD]", "[UNK]", "a", "e", " "))
    assert find_all_ids(spec, ["\u00c9a\tz\u3000A"]) == [[3, 2, 4, 1, 4, 2]]


def test_the_length_is_what_95_of_100_texts_need_within_the_positions_of_the_backbone(tmp_path):
    (tmp_path / "short").write_text("the")
    (tmp_path / "middle").write_text("the quick fox " * 4)
    (tmp_path / "long").write_text("the " * 50)

    def fit(*names: str, **settings) -> TextSpec:
        paths = tuple(str(tmp_path / name) for name in names)
        examples = Examples(names, Files(paths), np.zeros(len(names), np.int64))
        longest = settings.pop("longest", None)
        spec = make_spec(max_tokens=None, longest=longest)
        return load_modality("text").fit_spec(spec, TextConfig(**settings), examples)

    spec = fit(*["short"] * 95, *["long"] * 5)
    assert spec.max_tokens == 8
    # 95 texts of 3 tokens and 5 of 52, special ones included.
    lost = "40.4% of their tokens are cut; 59% would be padding, 59% in batches by length"
    assert str(spec) == f"8 tokens (95.0% of the training texts are whole, {lost})"
    assert fit(*["short"] * 94, "middle", *["long"] * 5).max_tokens == 16
    assert fit("middle", longest=12).max_tokens == 12
    assert fit("middle", max_tokens=9).max_tokens == 9
    with pytest.raises(ConfigError, match=r"data.text.max_tokens: 13, .* positions for 12 tok"):
        fit("middle", longest=12, max_tokens=13)


def test_equal_specs_make_equal_decoders_whose_text_names_the_vocabulary():
    one, same = TextDecoder(make_spec()), TextDecoder(make_spec(vocabulary=list(VOCABULARY)))
    other = TextDecoder(make_spec(vocabulary=(*VOCABULARY, "more")))
    assert one == same and hash(one) == hash(same) and repr(one) == repr(same)
    assert one != other and repr(one) != repr(other)


@pytest.fixture(scope="module")
def byte_pairs():
    """A small vocabulary of byte pairs, and the library that made it."""
    tokenizers = pytest.importorskip("tokenizers", reason="KerasHub, the extra `hub`, is missing")
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    reference.train_from_iterator([*UNUSUAL, "the quick brown fox " * 5, "aaaa aaa 1234"], trainer)
    stored = json.loads(reference.to_str())["model"]
    ids = stored["vocab"]
    merges = tuple(each if isinstance(each, str) else " ".join(each) for each in stored["merges"])
    spec = make_spec(
        tokenizer="byte_pairs",
        vocabulary=tuple(sorted(ids, key=ids.get)),
        merges=merges,
        padding="<pad>",
        unknown="</s>",
        start="<s>",
        end="</s>",
    )
    return spec, reference


def test_byte_pairs_are_those_of_the_reference(byte_pairs):
    spec, reference = byte_pairs
    drawn = random.Random(0)
    letters = "ab A1 2'\n\t!s.tl\u00e9\u6f22\U0001f44d "
    texts = [
        *UNUSUAL[1:],
        "It's we'll I'd 'twas ''s !'s x's's they're'm  'S 'LL",
        " leading and trailing  ",
        "tabs\t\tand\n\n lines \r\n end\n",
        "a" * 99 + " aaa",
        *("".join(drawn.choices(letters, k=25)) for _ in range(300)),
    ]
    for text, ids in zip(texts, find_all_ids(spec, texts), strict=True):
        assert ids == reference.encode(text, add_special_tokens=False).ids, ascii(text)


def test_byte_pairs_are_cut_at_the_length_and_framed(byte_pairs):
    spec, reference = byte_pairs
    text = "the quick fox " * 2_000
    decoded = TextDecoder(spec)(tf.constant(text.encode()))
    expected = reference.encode(text, add_special_tokens=False).ids[:14]
    assert decoded["token_ids"].numpy().tolist() == [0, *expected, 1]
    empty = TextDecoder(spec)(tf.constant(b""))
    assert empty["token_ids"].numpy().tolist() == [0, 1, 1] + [2] * 13
    assert empty["padding_mask"].numpy().tolist() == [1] * 3 + [0] * 13
