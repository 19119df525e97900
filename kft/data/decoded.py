"""What decides the pixels of a picture, beside the content of its file."""

from __future__ import annotations

from kft.config.schema import DataConfig
from kft.data.batches import pixels
from kft.data.batches.pixels import Decoder
from kft.modalities.image import conversion


def describe_decoding(decoder: Decoder, config: DataConfig) -> str:
    """Part of the key of what is computed from pixels: what is kept is not that of other code.

    Args:
        decoder: Encoded bytes -> pixels; its `repr` says how.
        config: The `data` section, for `depth`: where it is set, the gate reads files by it that
            it would read by their own headers.
    """
    return f"{decoder!r} {pixels.FORMAT} {conversion.VERSION} {config.image.depth}"
