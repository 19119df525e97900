"""Text backbones: one vector per token, blocks that cut the graph, and clear refusals."""

from __future__ import annotations

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone, save_backbone
from kft.backbones.crossings import crossing_after
from kft.backbones.partition import check_blocks
from kft.backbones.record import Backbone
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.text.decoding import TextDecoder

WORDS = ("the", "film", "is", "good", "bad", ",", ".")
TEXTS = (b"The film is good.", b"bad , bad film", "unknown \u00e9".encode())
LENGTH = 16


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "glove.txt"
    rows = np.random.default_rng(0).normal(size=(len(WORDS), 4)).round(3)
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, rows, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def make_preset(tmp_path_factory):
    """Write a tiny transformer of KerasHub with its tokenizer, as KerasHub stores presets."""
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")

    def make(name: str, tokenizer, **options) -> Path:
        keras.utils.set_random_seed(0)
        sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
        trunk = getattr(keras_hub.models, f"{name}Backbone")(
            vocabulary_size=tokenizer.vocabulary_size(), max_sequence_length=16, **sizes, **options
        )
        folder = tmp_path_factory.mktemp("presets") / name
        trunk.save_to_preset(folder)
        tokenizer.save_to_preset(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def bert(make_preset) -> Path:
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "e"]
    tokenizer = keras_hub.tokenizers.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    return make_preset("Bert", tokenizer)


def load(name: str, **options) -> Backbone:
    return load_backbone(BackboneConfig(name=name, input_size=LENGTH, **options))


def decode(backbone: Backbone, texts=TEXTS) -> dict[str, tf.Tensor]:
    decoder = TextDecoder(backbone.input_spec)
    return tf.map_fn(decoder, tf.constant(list(texts)), fn_output_signature=decoder.output)


def assert_contract(backbone: Backbone, blocks: list[str]) -> np.ndarray:
    """Check what any text backbone promises; returns its vectors of three texts."""
    assert [block.name for block in backbone.blocks] == blocks
    check_blocks(backbone.model, backbone.blocks)
    inputs = decode(backbone)
    assert {name: each.shape for name, each in backbone.input_spec.elements.items()} == {
        name: tuple(values.shape[1:]) for name, values in inputs.items()
    }
    outputs = backbone.model(inputs).numpy()
    assert outputs.shape == (3, LENGTH, backbone.model.output.shape[-1])
    for depth in range(1, len(backbone.blocks)):
        crossing = crossing_after(backbone.model, backbone.blocks[:depth], backbone.blocks[depth:])
        # States and mask; and the relative positions of DeBERTa.
        assert crossing is not None and len(crossing) <= 3
    return outputs


@pytest.mark.parametrize(
    ("encoder", "blocks", "channels"),
    [
        ("mean", ["embeddings"], 4),
        ("cnn", ["embeddings", "encoder"], 9),
        ("lstm", ["embeddings", "encoder"], 6),
    ],
)
def test_word_vectors_with_each_encoder(vectors, encoder, blocks, channels):
    options = {"encoder": encoder, "units": 3}
    backbone = load("word_vectors", weights=str(vectors), options=options)
    outputs = assert_contract(backbone, blocks)
    assert outputs.shape[-1] == channels
    table = backbone.blocks[0].variables[0].numpy()
    assert not table[:2].any() and table[2:].any(axis=1).all()
    # Padding does not change the vectors of the tokens.
    longer = load_backbone(
        BackboneConfig(name="word_vectors", weights=str(vectors), input_size=20, options=options)
    )
    for variable, value in zip(longer.model.weights, backbone.model.weights, strict=True):
        variable.assign(value)
    mask = decode(backbone)["padding_mask"].numpy()[..., np.newaxis]
    again = longer.model(decode(longer)).numpy()[:, :LENGTH]
    np.testing.assert_allclose(again * mask, outputs * mask, atol=1e-6)


def test_characters_from_random_weights():
    backbone = load("small_characters", weights="random", options={"width": 4})
    assert_contract(backbone, ["embeddings", "block1", "block2", "block3", "block4"])
    assert backbone.sha256 is None


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("small_lstm", ["embeddings", "layer1", "layer2"]),
        ("small_transformer", ["embeddings", "layer1", "layer2", "tail"]),
    ],
)
def test_small_backbones_hash_words_and_read_any_length(name, blocks, tmp_path):
    options = {"width": 8, "layers": 2, "buckets": 100}
    backbone = load(name, weights="random", options=options)
    outputs = assert_contract(backbone, blocks)
    ids, mask = (decode(backbone)[key].numpy() for key in ("token_ids", "padding_mask"))
    assert ids[mask == 1].min() >= 2 and ids.max() < 102 and not ids[mask == 0].any()
    # A word has one number: "film" is the second of the first text, and the last of the second.
    assert ids[0][1] == ids[1][3]
    longer = load_backbone(BackboneConfig(name=name, weights="random", options=options))
    for variable, value in zip(longer.model.weights, backbone.model.weights, strict=True):
        variable.assign(value)
    padded = {
        "token_ids": np.pad(ids, [(0, 0), (0, 5)]),
        "padding_mask": np.pad(mask, [(0, 0), (0, 5)]),
    }
    again = longer.model(padded).numpy()[:, :LENGTH] * mask[..., np.newaxis]
    np.testing.assert_allclose(again, outputs * mask[..., np.newaxis], atol=1e-5)
    save_backbone(longer, tmp_path / "mine")
    loaded = load_backbone(BackboneConfig(name=str(tmp_path / "mine")))
    np.testing.assert_array_equal(loaded.model(padded), longer.model(padded))


def test_a_bert_of_keras_hub_gives_its_own_vectors(bert):
    import keras_hub

    backbone = load(f"keras_hub:{bert}")
    outputs = assert_contract(backbone, ["embeddings", "layer1", "layer2"])
    inputs = decode(backbone)
    segments = {"segment_ids": tf.zeros_like(inputs["token_ids"])}
    trunk = keras_hub.models.Backbone.from_preset(str(bert))
    expected = trunk({**inputs, **segments})["sequence_output"]
    np.testing.assert_allclose(outputs, expected.numpy(), atol=1e-6)
    assert backbone.sha256 is not None
    assert backbone.input_spec.strip_accents and backbone.input_spec.longest == 16
    assert not any("pooled" in variable.path for variable in backbone.model.weights)


@pytest.mark.parametrize(
    ("name", "special", "blocks"),
    [
        ("Roberta", ["<s>", "<pad>", "</s>", "<mask>"], ["embeddings", "layer1", "layer2"]),
        ("GPT2", ["<|endoftext|>"], ["embeddings", "layer1", "layer2", "tail"]),
    ],
)
def test_transformers_with_byte_pairs_have_their_special_tokens(make_preset, name, special, blocks):
    import keras_hub

    from kft.modalities.text.byte_pairs import _write_bytes

    tokens = [*special, *_write_bytes(), "\u0120f", "il", "\u0120fil"]
    tokenizer = getattr(keras_hub.tokenizers, f"{name}Tokenizer")(
        vocabulary={token: place for place, token in enumerate(tokens)},
        merges=["\u0120 f", "i l", "\u0120f il"],
    )
    backbone = load(f"keras_hub:{make_preset(name, tokenizer)}")
    assert_contract(backbone, blocks)
    ids = decode(backbone, [b"a film"])["token_ids"].numpy()[0]
    found = [tokens[place] for place in ids[:5]]
    expected = ["a", "\u0120fil", "m"]
    is_framed = len(special) > 1
    assert found == (["<s>", *expected, "</s>"] if is_framed else [*expected, *special * 2])


@pytest.fixture(scope="module")
def make_proto():
    """Train a SentencePiece model with the special tokens of a family."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="the extra `hub` is missing")

    def make(**special) -> bytes:
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["the film is good", "a bad, bad film."] * 20),
            model_writer=file,
            vocab_size=32,
            model_type="WORD",
            hard_vocab_limit=False,
            **special,
        )
        return file.getvalue()

    return make


OF_ALBERT = {
    "pad_id": 0,
    "unk_id": 1,
    "bos_id": 2,
    "eos_id": 3,
    "pad_piece": "<pad>",
    "unk_piece": "<unk>",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "user_defined_symbols": "[MASK]",
}


# KerasHub leaves the file of the model to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("name", "special", "blocks"),
    [
        ("Albert", OF_ALBERT, ["embeddings", "layer1"]),
        ("DebertaV3", OF_ALBERT | {"pad_piece": "[PAD]"}, ["embeddings", "layer1", "layer2"]),
    ],
)
def test_a_sentencepiece_tokenizer_is_the_librarys(make_preset, make_proto, name, special, blocks):
    import keras_hub

    kind = getattr(keras_hub.tokenizers, f"{name}Tokenizer")
    tokenizer = kind(proto=make_proto(**special))
    options = {"embedding_dim": 8} if name == "Albert" else {}
    backbone = load(f"keras_hub:{make_preset(name, tokenizer, **options)}")
    assert_contract(backbone, blocks)
    spec = backbone.input_spec
    assert (spec.tokenizer, spec.packages) == ("sentencepiece", ("tensorflow-text",))
    texts = ["the film is good", "\U0001f44d שלום", "", "bad " * 20_000]
    decoded = decode(backbone, [*(text.encode() for text in texts), b"the \xff film", b"a\0b"])
    for text, ids in zip(texts, decoded["token_ids"].numpy(), strict=False):
        expected = np.asarray(tokenizer(text)).tolist()[: LENGTH - 2] or [
            spec.vocabulary.index("<unk>")
        ]
        assert ids[: len(expected) + 2].tolist() == [2, *expected, 3]
    assert decoded["token_ids"].numpy()[4][:4].tolist() == [
        2,
        *np.asarray(tokenizer("the film")),
        3,
    ]
    assert TextDecoder(spec).resources


def test_a_saved_text_backbone_is_the_same(vectors, tmp_path):
    backbone = load("word_vectors", weights=str(vectors), options={"encoder": "cnn", "units": 3})
    save_backbone(backbone, tmp_path / "mine")
    loaded = load_backbone(BackboneConfig(name=str(tmp_path / "mine")))
    with pytest.raises(BackboneError, match=r"reads 16 tokens. Remove it; the section .*data.text"):
        load_backbone(BackboneConfig(name=str(tmp_path / "mine"), input_size=32))
    assert loaded.input_spec == backbone.input_spec
    assert [block.name for block in loaded.blocks] == ["embeddings", "encoder"]
    inputs = decode(backbone)
    np.testing.assert_array_equal(loaded.model(inputs), backbone.model(inputs))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "word_vectors"}, r"word_vectors needs a file of word vectors"),
        ({"name": "word_vectors", "weights": "random"}, r"needs a file of word vectors"),
        ({"name": "word_vectors", "weights": "/no.txt"}, r"no such file of word vectors: /no.txt"),
        ({"name": "small_characters"}, r"has no pretrained weights. Set `backbone.weights=random"),
        (
            {"name": "small_characters", "weights": "random", "options": {"widht": 4}},
            r"no option 'widht'. Did you mean 'width'",
        ),
        (
            {"name": "small_characters", "weights": "random", "options": {"width": 0}},
            r"backbone.options.width: 0 is not a whole number of at least 1",
        ),
    ],
)
def test_what_cannot_be_loaded_says_what_is_needed(config, message):
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneConfig(**config))


def test_options_and_lengths_of_backbones_are_checked(vectors, bert):
    options = {"encoder": "gru"}
    with pytest.raises(BackboneError, match=r"found 'gru'. Allowed: mean, cnn, lstm"):
        load("word_vectors", weights=str(vectors), options=options)
    with pytest.raises(BackboneError, match=r"17 tokens, but .* has positions for 16"):
        load_backbone(BackboneConfig(name=f"keras_hub:{bert}", input_size=17))


def test_a_tokenizer_that_the_graph_cannot_hold_is_refused(bert, monkeypatch):
    import keras_hub

    other = keras_hub.tokenizers.ByteTokenizer()
    monkeypatch.setattr(
        keras_hub.tokenizers.Tokenizer, "from_preset", classmethod(lambda *_, **__: other)
    )
    with pytest.raises(
        BackboneError, match=r"needs a ByteTokenizer. kft has WordPiece, byte pairs"
    ):
        load(f"keras_hub:{bert}")
