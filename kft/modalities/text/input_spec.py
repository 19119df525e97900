"""The input of a text backbone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from kft.modalities.model_input import PADDING_MASK, Element, InputSpec

Tokenizer = Literal["wordpiece", "byte_pairs", "words", "hashed_words", "characters"]
PADDING, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
"""Special tokens of BERT; kft's own vocabularies have the first two."""


@dataclass(frozen=True)
class TextSpec(InputSpec):
    """Token ids of one length, and a mask that is 0 at the padding.

    Attributes:
        tokenizer: `wordpiece` is BERT's, `byte_pairs` GPT-2's. `words` are those of word vectors:
            split at spaces, and at punctuation where the whole is unknown. `hashed_words` are
            split at both, and numbered by their hash. `characters` are code points.
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
    coverage: str = field(default="", repr=False, compare=False)
    modality: str = field(default="text", kw_only=True)

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        object.__setattr__(self, "merges", tuple(self.merges))

    @property
    def digest(self) -> str:
        """SHA-256 of vocabulary and merges."""
        lines = (*self.vocabulary, "", *self.merges)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def elements(self) -> dict[str, Element]:
        """Token ids and padding mask."""
        return dict.fromkeys(("token_ids", PADDING_MASK), Element((self.max_tokens,), "int32"))

    @property
    def may_shorten(self) -> bool:
        """Whether batches may be shorter: see `InputSpec`."""
        return True

    def __str__(self) -> str:
        """Number of tokens, in words."""
        if self.max_tokens is None:
            return "as many tokens as the data need"
        unit = "characters" if self.tokenizer == "characters" else "tokens"
        coverage = f" ({self.coverage})" if self.coverage else ""
        return f"{self.max_tokens} {unit}{coverage}"
