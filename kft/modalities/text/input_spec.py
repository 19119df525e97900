"""The input of a text backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kft.modalities.explained import ExplainedAxes
from kft.modalities.model_input import PADDING_MASK, Element, InputSpec

TOKEN_IDS = "token_ids"
"""Name of the element that holds the tokens."""
Tokenizer = Literal[
    "wordpiece", "byte_pairs", "words", "hashed_words", "characters", "sentencepiece", "module"
]
PADDING, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_MASK = "[MASK]"
"""Special tokens of BERT; kft's own vocabularies have the first two."""


@dataclass(frozen=True)
class TextSpec(InputSpec):
    """Token ids of one length, and a mask that is 0 at the padding.

    Attributes:
        tokenizer: `wordpiece` is BERT's, `byte_pairs` GPT-2's. `words` are those of word vectors:
            split at spaces, and at punctuation where the whole is unknown. `hashed_words` are
            split at both, and numbered by their hash. `characters` are code points.
            `sentencepiece` is KerasHub's, by TensorFlow Text. `module` is a SavedModel.
        vocabulary: Tokens by their id, the special ones among them.
        buckets: Number of the ids after the vocabulary that hashes of words are spread over.
        merges: Pairs of tokens that `byte_pairs` merges, the first ones first.
        max_tokens: Length of the ids; None where the data decide it.
        longest: Most tokens that the backbone has positions for; None for any number.
        lowercase: Whether texts are mapped to lower case.
        strip_accents: Whether accents are dropped.
        padding: Token that fills the ids.
        unknown: Token of what the vocabulary lacks.
        start: Token before each text; empty for none.
        end: Token after each text; empty for none.
        library: Class of the tokenizer in KerasHub, for `sentencepiece`.
        proto: Its SentencePiece model, in base64.
        module: Folder of the SavedModel, for `module`.
        module_packages: Packages whose ops it uses.
        coverage: How much of the training texts the length covers, in words.
    """

    tokenizer: Tokenizer
    vocabulary: tuple[str, ...] = field(repr=False)
    max_tokens: int | None = None
    longest: int | None = None
    lowercase: bool = True
    strip_accents: bool = True
    padding: str = PADDING
    unknown: str = UNKNOWN
    start: str = ""
    end: str = ""
    buckets: int = 0
    merges: tuple[str, ...] = field(default=(), repr=False)
    library: str = ""
    proto: str = field(default="", repr=False)
    module: str = ""
    module_packages: tuple[str, ...] = ()
    coverage: str = field(default="", repr=False, compare=False)
    modality: str = field(default="text", kw_only=True)

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        object.__setattr__(self, "merges", tuple(self.merges))
        object.__setattr__(self, "module_packages", tuple(self.module_packages))

    @property
    def digest(self) -> str:
        """SHA-256 of vocabulary, merges and SentencePiece model."""
        lines = (*self.vocabulary, "", *self.merges, self.proto)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def elements(self) -> dict[str, Element]:
        """Token ids and padding mask."""
        return dict.fromkeys((TOKEN_IDS, PADDING_MASK), Element((self.max_tokens,), "int32"))

    @property
    def explained(self) -> ExplainedAxes:
        """See `InputSpec`: tokens, of which those of a word are hidden together."""
        return ExplainedAxes(TOKEN_IDS, ("token",), (1,), is_continuous=False)

    def make_neutral(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `InputSpec`: every word is the masked one of pretraining, or an unknown one."""
        hidden = _MASK if _MASK in self.vocabulary else self.unknown
        ids = inputs[TOKEN_IDS]
        is_word = self.find_parts(inputs, ids.shape) >= 0
        neutral = np.where(is_word, self.vocabulary.index(hidden), ids).astype(ids.dtype)
        return {**inputs, TOKEN_IDS: neutral}

    def find_parts(self, inputs: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """See `InputSpec`: words; special tokens are never hidden."""
        from kft.modalities.text.words import find_words

        return find_words(self, inputs[TOKEN_IDS], inputs[PADDING_MASK])

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the graph of the tokenizer needs: see `InputSpec`."""
        return ("tensorflow-text",) if self.tokenizer == "sentencepiece" else self.module_packages

    @property
    def may_shorten(self) -> bool:
        """Whether batches may be shorter: see `InputSpec`. A module may expect its one length."""
        return self.tokenizer != "module"

    def __str__(self) -> str:
        """Number of tokens, in words."""
        if self.max_tokens is None:
            return "as many tokens as the data need"
        unit = "characters" if self.tokenizer == "characters" else "tokens"
        coverage = f" ({self.coverage})" if self.coverage else ""
        return f"{self.max_tokens} {unit}{coverage}"
