"""Tokens -> the words that they are pieces of, for explanations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kft.modalities.explained import ExplainedExample, sum_by_part
from kft.modalities.text.input_spec import TOKEN_IDS, TextSpec


def find_words(spec: TextSpec, token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Number the word of each token: int64 (tokens,), -1 for special tokens and padding.

    Args:
        spec: Input of the backbone.
        token_ids: Ids (tokens,).
        mask: 0 where a token is padding (tokens,).
    """
    special = {spec.padding, spec.start, spec.end}
    words = np.full(len(token_ids), -1, np.int64)
    word, is_open = -1, False
    for place in np.flatnonzero(mask):
        token = spec.vocabulary[token_ids[place]]
        if token in special or token == " ":
            is_open = False
            continue
        if not is_open or _begins_word(spec, token):
            word += 1
        is_open = True
        words[place] = word
    return words


def _begins_word(spec: TextSpec, token: str) -> bool:
    """Tell whether a token begins a word although a word is open."""
    if spec.tokenizer == "wordpiece":
        return not token.startswith("##")
    if spec.tokenizer == "byte_pairs":
        return token.startswith("Ġ")
    return spec.tokenizer == "words"


def write_words(spec: TextSpec, token_ids: np.ndarray, words: np.ndarray) -> list[str]:
    """Write the words whose tokens `find_words` has numbered, in order.

    Args:
        spec: Input of the backbone.
        token_ids: Ids (tokens,).
        words: Word of each token.
    """
    return [
        "".join(_write_tokens(spec, [spec.vocabulary[i] for i in token_ids[words == word]]))
        for word in range(int(words.max(initial=-1)) + 1)
    ]


def weigh_words(
    spec: TextSpec, example: ExplainedExample, values: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Write the words of an explained text, and add up the values of each word's tokens.

    Args:
        spec: Input of the backbone.
        example: The text.
        values: Value of each token (tokens,).
    """
    words = write_words(spec, example.inputs[TOKEN_IDS], example.parts)
    return words, sum_by_part(values, example.parts)


def _write_tokens(spec: TextSpec, tokens: Sequence[str]) -> Iterator[str]:
    if spec.tokenizer == "byte_pairs":
        from kft.modalities.text.byte_pairs import read_byte_letters

        yield read_byte_letters("".join(tokens)).strip()
        return
    for token in tokens:
        yield token.removeprefix("##") if spec.tokenizer == "wordpiece" else token
