"""The input of a text backbone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from kft.modalities.model_input import PADDING_MASK, Element, InputSpec

Tokenizer = Literal["wordpiece", "words", "characters"]
PADDING, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


@dataclass(frozen=True)
class TextSpec(InputSpec):
    """Token ids of one length, and a mask that is 0 at the padding.

    Attributes:
        tokenizer: `wordpiece` is BERT's. `words` are those of word vectors: split at spaces, and
            at punctuation where the whole is unknown. `characters` are code points.
        vocabulary: Tokens by their id; `[PAD]` and `[UNK]` among them, and for `wordpiece`
            `[CLS]` and `[SEP]`.
        max_tokens: Length of the ids; None where the data decide it.
        longest: Most tokens that the backbone has positions for; None for any number.
        lowercase: Whether texts are mapped to lower case.
        strip_accents: Whether accents are dropped.
    """

    tokenizer: Tokenizer
    vocabulary: tuple[str, ...] = field(repr=False)
    max_tokens: int | None = None
    longest: int | None = None
    lowercase: bool = True
    strip_accents: bool = True
    modality: str = field(default="text", kw_only=True)

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))

    @property
    def digest(self) -> str:
        """SHA-256 of the vocabulary."""
        return hashlib.sha256("\n".join(self.vocabulary).encode()).hexdigest()

    @property
    def elements(self) -> dict[str, Element]:
        """Token ids and padding mask."""
        return dict.fromkeys(("token_ids", PADDING_MASK), Element((self.max_tokens,), "int32"))

    def __str__(self) -> str:
        """Number of tokens, in words."""
        if self.max_tokens is None:
            return "as many tokens as the data need"
        return f"{self.max_tokens} {'characters' if self.tokenizer == 'characters' else 'tokens'}"
