"""MiniLM of three layers, trained to tell paraphrases: the default backbone of texts."""

from __future__ import annotations

from dataclasses import replace

from kft.backbones.official import OTHER_FILES, minilm_file
from kft.backbones.presets import load as load_preset
from kft.backbones.record import Backbone
from kft.backbones.weights import obtain_official
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

# The files that a folder of Hugging Face needs beside the weights.
_OTHER_PARTS = ("config.json", "vocab.txt", "tokenizer_config.json")


def load(config: BackboneConfig) -> Backbone:
    """Load `minilm_l3` from the folder of its files, which are downloaded once.

    The folder `minilm_l3` is searched in `KFT_WEIGHTS_DIR` and in the Keras cache.

    Raises:
        BackboneError: KerasHub is missing, or the files are neither on this machine nor can they
            be downloaded; names what a run without them can use.

    Source: Wang et al., MiniLM, arXiv:2002.10957; Reimers and Gurevych, Sentence-BERT,
    arXiv:1908.10084; https://huggingface.co/sentence-transformers/paraphrase-MiniLM-L3-v2.
    """
    try:
        weights = obtain_official(OTHER_FILES[config.name])
        for part in _OTHER_PARTS:
            obtain_official((minilm_file(part),))
        folder = config.model_copy(update={"name": f"keras_hub:{weights.parent}"})
        return replace(load_preset(folder), name=config.name)
    except BackboneError as error:
        raise BackboneError(
            f"{error}\nWithout {config.name}, name another backbone of texts: "
            "`backbone.name=keras_hub:FOLDER` for a transformer that you have, "
            "`backbone.name=word_vectors backbone.weights=FILE` for word vectors, or "
            "`backbone.name=small_characters backbone.weights=random`, which needs nothing."
        ) from error
