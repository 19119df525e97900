"""Store of the activations at a cut, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable

from kft.config import FeaturesConfig
from kft.features.cut import Cut
from kft.features.extraction import ROOM, Extraction, MakeBatches
from kft.features.fingerprint import digest_model
from kft.features.layout import find_layout, limit_bytes
from kft.features.selection import SelectedEngine
from kft.features.shared_extraction import SharedExtraction
from kft.features.stored import Stored
from kft.runs.caches import check_space, max_entry_bytes
from kft.runs.entries import Entry, open_or_build


def load_or_extract(
    cut: Cut,
    make_batches: MakeBatches,
    *,
    content_key: str,
    num_examples: int,
    num_views: int = 1,
    config: FeaturesConfig,
    like: Stored | None = None,
    progress: Callable[[int, int], None],
    on_wait: Callable[[], None] | None = None,
    shared: SharedExtraction | None = None,
) -> Stored:
    """Load the activations of every example at the cut from the cache, or compute them.

    Memory does not grow with the number of examples. If several processes want the same
    activations, one computes them and the others wait.

    Args:
        cut: End of the prefix.
        make_batches: Function from the number of a view to its batches of inputs by name, in the
            order of the split; called only if the cache lacks the activations.
        content_key: Digest of everything that decides the inputs of all views: files, contents,
            order, decoding, the preset of the augmentation and its seed.
        num_examples: Number of examples in the split.
        num_views: Number of differently augmented views of each example.
        config: The pipeline's `features` section.
        like: Activations of another split at this cut, whose engine and type are reused.
        progress: Called with the numbers done and in total, views times examples.
        on_wait: Called if another process is computing the activations.
        shared: How workers share the computation; all of them call this function.

    Raises:
        ConfigError: The activations do not fit into the cache, or the requested engine is not
            available for this model.
    """
    extraction = Extraction(
        cut=cut,
        make_batches=make_batches,
        layout=find_layout(cut, num_examples=num_examples, num_views=num_views),
        num_examples=num_examples,
        num_views=num_views,
        config=config,
        like=like,
        digest=digest_model(cut.prefix),
        progress=progress,
    )
    own_key = extraction.make_key(content_key)
    # The key depends on installed versions, which may differ between workers.
    key = own_key if shared is None else shared.workers.broadcast_from_chief(lambda: own_key)

    def open_entry() -> Entry:
        return open_or_build(
            ROOM,
            key,
            extraction.build,
            about=f"{cut.backbone} at {cut.name}, examples: {num_examples}, views: {num_views}",
            limit_bytes=limit_bytes(config),
            expected_bytes=extraction.layout.least_bytes(config),
            on_wait=on_wait,
        )

    entry = open_entry() if shared is None else extraction.share(shared, key, open_entry)
    activations = extraction.layout.load(entry.path)
    if entry.was_cached:
        progress(num_views * num_examples, num_views * num_examples)
    return Stored(
        activations,
        entry.was_cached,
        extraction.selected
        or SelectedEngine(entry.facts["engine"], cut.forward(extraction.digest)),
        extraction.digest,
        entry,
    )


def fits_store(
    cut: Cut,
    *,
    num_examples: int,
    num_views: int,
    num_beside: int = 0,
    config: FeaturesConfig,
    in_parts: bool = False,
) -> bool:
    """Tell whether limit and disk have room for the result of `load_or_extract` at this cut.

    Args:
        cut: End of the prefix.
        num_examples: Number of examples to store.
        num_views: Number of views of each.
        num_beside: Number of other examples stored at the same time, with one view each.
        config: The pipeline's `features` section.
        in_parts: Whether several workers compute parts, which need space beside the whole.
    """
    layout = find_layout(cut, num_examples=num_views * num_examples + num_beside, num_views=1)
    return layout.needed_bytes(config, in_parts) <= max_entry_bytes(limit_bytes(config))


def check_store(
    cut: Cut, *, num_examples: int, config: FeaturesConfig, in_parts: bool = False
) -> None:
    """Refuse examples whose activations must be stored but do not fit, with one view each.

    Raises:
        ConfigError: Limit or disk have no room for the activations.
    """
    layout = find_layout(cut, num_examples=num_examples, num_views=1)
    check_space(layout.needed_bytes(config, in_parts), limit_bytes(config), what=cut.contents)
