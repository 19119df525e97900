"""UTF-8 bytes -> token ids: the one function that training and the exported graph share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kft.modalities.text.byte_pairs import load_byte_pairs
from kft.modalities.text.input_spec import TextSpec
from kft.modalities.text.library_tokenizer import LibraryTokenizer, load_library_tokenizer
from kft.modalities.text.module_tokenizer import ModuleTokenizer, load_module_tokenizer
from kft.modalities.text.splitting import Words, encode, normalise, split
from kft.modalities.text.vocabulary import load_character_vocabulary, load_vocabulary
from kft.modalities.text.wordpiece import find_longest_piece, match_pieces

_ALL = 2**31 - 1
_FOREIGN = ("sentencepiece", "module")


@dataclass(frozen=True, repr=False)
class TextDecoder:
    """A text -> ids of its first tokens, and a mask of what is no padding.

    Bytes that are not UTF-8 and control characters are dropped. A text without a token has one
    unknown token. Special tokens come only from the decoder: `[SEP]` in a text is text.

    Attributes:
        spec: Tokenizer, vocabulary and length.
    """

    spec: TextSpec

    @property
    def output(self) -> dict[str, tf.TensorSpec]:
        """Ids and mask, int32 (max_tokens,) each."""
        assert self.spec.max_tokens is not None
        shape = (self.spec.max_tokens,)
        return {name: tf.TensorSpec(shape, tf.int32) for name in ("token_ids", "padding_mask")}

    def __call__(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The tokens of one text: scalar string -> what `output` says."""
        length = self.spec.max_tokens
        assert length is not None
        ids = self._find_ids(text, length - self._num_special)[: length - self._num_special]
        start, end = ([self._id_of(token)] if token else [] for token in self._special)
        ids = tf.concat([tf.constant(start, tf.int32), ids, tf.constant(end, tf.int32)], axis=0)
        missing = [[0, length - tf.size(ids)]]
        padded = tf.pad(ids, missing, constant_values=self._id_of(self.spec.padding))
        mask = tf.pad(tf.ones_like(ids), missing)
        return {
            "token_ids": tf.ensure_shape(padded, (length,)),
            "padding_mask": tf.ensure_shape(mask, (length,)),
        }

    def count(self, text: tf.Tensor) -> tf.Tensor:
        """The number of tokens of a whole text, special ones included: scalar string -> int32."""
        return tf.size(self._find_ids(text, _ALL)) + self._num_special

    @property
    def resources(self) -> tuple[Any, ...]:
        """What an export must track beside the variables, because the graph uses it."""
        return (self._foreign.resource,) if self.spec.tokenizer in _FOREIGN else ()

    @property
    def _foreign(self) -> LibraryTokenizer | ModuleTokenizer:
        """Tokenizer that is not kft's own."""
        if self.spec.tokenizer == "module":
            return load_module_tokenizer(self.spec.module)
        return load_library_tokenizer(self.spec.library, self.spec.proto)

    @property
    def _special(self) -> tuple[str, str]:
        return self.spec.start, self.spec.end

    @property
    def _num_special(self) -> int:
        return sum(map(bool, self._special))

    def _id_of(self, token: str) -> int:
        return self.spec.vocabulary.index(token)

    def _find_ids(self, text: tf.Tensor, most: int) -> tf.Tensor:
        """Ids of a text's tokens, int32 (tokens,): all, or the first `most` and perhaps others."""
        find = {
            "wordpiece": self._find_pieces,
            "byte_pairs": self._find_byte_pairs,
            "words": self._find_words,
            "hashed_words": self._hash_words,
            "sentencepiece": lambda text, most: self._foreign.find(text),
            "module": lambda text, most: self._foreign.find(text),
            "characters": self._find_characters,
        }[self.spec.tokenizer]
        ids = find(text, most)
        unknown = self._id_of(self.spec.unknown)
        ids = tf.where(ids < 0, unknown, ids)
        return tf.cond(tf.size(ids) > 0, lambda: ids, lambda: tf.constant([unknown]))

    def _find_pieces(self, text: tf.Tensor, most: int) -> tf.Tensor:
        # A word has at least one piece.
        words = self._split(text).first(most)
        return match_pieces(
            *encode(words.codes, words.word),
            load_vocabulary(self.spec.vocabulary),
            unknown=self._id_of(self.spec.unknown),
            longest_piece=find_longest_piece(self.spec.vocabulary),
        )

    def _find_byte_pairs(self, text: tf.Tensor, most: int) -> tf.Tensor:
        return load_byte_pairs(self.spec.vocabulary, self.spec.merges).encode(text, most)

    def _find_words(self, text: tf.Tensor, most: int) -> tf.Tensor:
        """Ids of chunks that are known as a whole, such as `u.s.`, and of the words of others."""
        words, vocabulary = self._split(text), load_vocabulary(self.spec.vocabulary)
        ids, chunk_ids = (
            vocabulary.find(encode(words.codes, numbers)[0])
            for numbers in (words.word, words.chunk)
        )
        starts = tf.concat([[True], words.word[1:] != words.word[:-1]], axis=0)
        chunk_of = tf.boolean_mask(words.chunk, starts[: tf.size(words.word)])
        is_first = tf.concat([[True], chunk_of[1:] != chunk_of[:-1]], axis=0)[: tf.size(chunk_of)]
        of_chunk = tf.gather(chunk_ids, chunk_of)
        is_known = of_chunk >= 0
        return tf.boolean_mask(tf.where(is_known, of_chunk, ids), ~is_known | is_first)

    def _hash_words(self, text: tf.Tensor, most: int) -> tf.Tensor:
        words = self._split(text).first(most)
        hashes = tf.strings.to_hash_bucket_fast(
            encode(words.codes, words.word)[0], self.spec.buckets
        )
        return tf.cast(hashes, tf.int32) + len(self.spec.vocabulary)

    def _find_characters(self, text: tf.Tensor, most: int) -> tf.Tensor:
        codes, _ = normalise(
            text, lowercase=self.spec.lowercase, strip_accents=self.spec.strip_accents
        )
        return load_character_vocabulary(self.spec.vocabulary).find(codes[:most])

    def _split(self, text: tf.Tensor) -> Words:
        return split(text, lowercase=self.spec.lowercase, strip_accents=self.spec.strip_accents)

    def __repr__(self) -> str:
        return f"TextDecoder({self.spec!r}, vocabulary={self.spec.digest})"
