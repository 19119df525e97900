"""Store of decoded examples, which are kept if there is room, to avoid repeated decoding."""

from __future__ import annotations

from kft.data.batches.decoded import make_decoded_cache
from kft.data.batches.example_cache import ExampleCache
from kft.display import Display
from kft.examples import SPLIT_NAMES, SplitName
from kft.feeding.source import Source


class ExampleStore:
    """Store of the decoded examples of each split, filled on first request.

    Args:
        source: Source of the examples.
        limit_gigabytes: Size limit of the cache on disk.
        display: Display for the progress of decoding.
        is_streamed: Whether the run reads each example only once, so that keeping them is useless.
    """

    def __init__(
        self, source: Source, *, limit_gigabytes: float, display: Display, is_streamed: bool
    ) -> None:
        self._source = source
        self._limit_gigabytes = limit_gigabytes
        self._display = display
        self._is_streamed = is_streamed
        self._caches: dict[SplitName, ExampleCache | None] = {}

    def get(self, split: SplitName) -> ExampleCache | None:
        """Return the decoded examples of a split, or None if they are read from their files."""
        # Examples that the data service decodes need not be kept in this process.
        is_served = split == "train" and self._source.config.service is not None
        if self._is_streamed or is_served or not len(self._source.splits.get(split)):
            return None
        if split not in self._caches:
            self._caches[split] = self._decode(split)
        return self._caches[split]

    def _decode(self, split: SplitName) -> ExampleCache | None:
        splits, config = self._source.splits, self._source.config
        examples = splits.get(split)
        share = len(examples) / sum(len(splits.get(name)) for name in SPLIT_NAMES)
        with self._display.track(f"Decoding {split}", len(examples)) as advance:
            cache = make_decoded_cache(
                examples,
                self._source.reader,
                mode=config.cache,
                megabytes=share * config.cache_megabytes,
                content_key=self._source.content_key(examples),
                limit_gigabytes=self._limit_gigabytes,
                progress=advance,
                on_wait=lambda: self._display.stage("  another process is decoding them; waiting"),
            )
            if cache is None:
                advance(len(examples), note="(no room to keep them; decoded when needed)")
        return cache
