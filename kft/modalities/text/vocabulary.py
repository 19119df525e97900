"""Strings and code points -> ids, in graphs of constants alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf

_BUCKETS = 2**63 - 1


class Vocabulary:
    """The ids of tokens, found by a binary search over fingerprints of 63 bits.

    A hash table would be a resource, which each exported graph would have to track. A string
    outside of the vocabulary is mistaken for a token with a chance of its size / 2**63.

    Args:
        tokens: Tokens by their id; of equal ones the last id counts.

    Source: FarmHash's Fingerprint64, by `tf.strings.to_hash_bucket_fast`.
    """

    def __init__(self, tokens: tuple[str, ...]) -> None:
        ids = {token: place for place, token in enumerate(tokens)}
        with tf.device("CPU"), tf.init_scope():
            hashes = tf.strings.to_hash_bucket_fast(list(ids), _BUCKETS).numpy()
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._ids = np.fromiter(ids.values(), np.int32)[order]
        assert (np.diff(self._hashes) > 0).all(), "two tokens have one fingerprint"

    def find(self, strings: tf.Tensor) -> tf.Tensor:
        """Ids of strings of any shape, int32; -1 for those outside of the vocabulary."""
        hashes = tf.strings.to_hash_bucket_fast(strings, _BUCKETS)
        return search(self._hashes, self._ids, hashes)


class CharacterVocabulary:
    """The ids of code points; tokens of more than one character stand for none.

    Args:
        tokens: Tokens by their id.
    """

    def __init__(self, tokens: tuple[str, ...]) -> None:
        codes = {ord(token): place for place, token in enumerate(tokens) if len(token) == 1}
        self._codes = np.array(sorted(codes), np.int32)
        self._ids = np.array([codes[code] for code in self._codes.tolist()], np.int32)

    def find(self, codes: tf.Tensor) -> tf.Tensor:
        """Ids of code points of any shape, int32; -1 for those outside of the vocabulary."""
        return search(self._codes, self._ids, codes)


def search(keys: np.ndarray, ids: np.ndarray, values: tf.Tensor) -> tf.Tensor:
    """The id beside each value's key; -1 where there is none. Keys are sorted."""
    places = tf.searchsorted(keys, tf.reshape(values, [-1]))
    places = tf.reshape(tf.minimum(places, len(keys) - 1), tf.shape(values))
    return tf.where(tf.gather(keys, places) == values, tf.gather(ids, places), -1)


@cache
def load_vocabulary(tokens: tuple[str, ...]) -> Vocabulary:
    """The vocabulary of these tokens, made once in a process."""
    return Vocabulary(tokens)


@cache
def load_character_vocabulary(tokens: tuple[str, ...]) -> CharacterVocabulary:
    """The vocabulary of these characters, made once in a process."""
    return CharacterVocabulary(tokens)
