from __future__ import annotations

import gc
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kft.data.batches import decoded
from kft.data.batches.decoded import (
    decode_all,
    make_decoded_cache,
)
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import (
    find_unreadable,
    make_reader,
    refuse_changed,
    translate_read_errors,
)
from kft.errors import ConfigError, DataError
from kft.examples import Examples, Files
from kft.modalities.image.decoding import ImageDecoder
from kft.runs.caches import cache_folder, list_entries, lock_path
from kft.runs.locks import hold_exclusive

DECODER = ImageDecoder(8, 8)
NUM_EXAMPLES = 35  # more than a batch of decoding


@pytest.fixture
def examples(write_picture) -> Examples:
    paths = tuple(str(write_picture(f"{i:02d}.png", seed=i)) for i in range(NUM_EXAMPLES))
    ids = tuple(path.rsplit("/")[-1] for path in paths)
    return Examples(ids, Files(paths), np.arange(NUM_EXAMPLES, dtype=np.int64))


@pytest.fixture
def make_cache(examples):
    def make(mode: str, decoder=DECODER, examples=examples, **changes):
        given = {"megabytes": 1, "content_key": "key", "limit_gigabytes": 1.0} | changes
        return make_decoded_cache(examples, decoder, mode=mode, **given)

    return make


def kept_entries() -> list[str]:
    return [kept.key for kept in list_entries("decoded")]


@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_a_cache_holds_what_the_files_decode_to(examples, make_cache, mode):
    indices = [34, 0, 1, 2, 20, 2]
    found = make_cache(mode).gather(tf.constant(indices))
    assert list(found) == ["pixels"]
    assert found["pixels"].dtype == tf.uint8
    read = make_reader(examples, DECODER)(tf.constant(indices))
    assert list(read) == ["pixels"]
    assert np.array_equal(found["pixels"], read["pixels"])


def test_auto_takes_the_memory_then_the_disk_then_neither(make_cache):
    large = ImageDecoder(200, 200)  # 4.2 MB in all
    assert make_cache("auto", large, megabytes=5) is not None
    assert make_cache("memory", large, megabytes=1) is not None
    assert make_cache("auto", large, megabytes=4, limit_gigabytes=0.0041) is None
    assert make_cache("none", large) is None
    assert kept_entries() == []
    assert make_cache("auto", large, megabytes=4, limit_gigabytes=0.0043) is not None
    assert len(kept_entries()) == 1


def test_auto_makes_room_on_a_full_disk(make_cache, caches, monkeypatch):
    large = ImageDecoder(200, 200)
    make_cache("auto", large, megabytes=4)
    gc.collect()
    taken = sum(kept.num_bytes for kept in list_entries())

    def usage(path):
        found = sum(file.stat().st_size for file in caches.rglob("*") if file.is_file())
        return SimpleNamespace(free=taken + 1_000_000 - found)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert make_cache("auto", large, megabytes=4, content_key="other") is not None
    assert len(kept_entries()) == 1
    # The disk cannot hold more than that, whatever would be removed.
    assert make_cache("auto", ImageDecoder(300, 300), megabytes=4) is None


def test_no_examples_need_no_cache(examples, make_cache):
    assert make_cache("disk", examples=examples.take([])) is None


def test_a_disk_without_room_is_told_where_it_was_asked_for(make_cache):
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes"):
        make_cache("disk", ImageDecoder(200, 200), limit_gigabytes=0.004)


def test_what_is_on_the_disk_is_not_decoded_again(examples, make_cache, tmp_path):
    first = make_cache("disk").gather(tf.range(NUM_EXAMPLES))["pixels"]
    for path in examples.inputs.paths:
        (tmp_path / path).unlink()
    seen: list[tuple[int, int]] = []
    again = make_cache("disk", progress=lambda *now: seen.append(now))
    assert np.array_equal(again.gather(tf.range(NUM_EXAMPLES))["pixels"], first)
    assert seen == [(NUM_EXAMPLES, NUM_EXAMPLES)]


def test_other_contents_and_other_decoders_are_other_entries(make_cache):
    make_cache("disk")
    make_cache("disk", content_key="other")
    make_cache("disk", ImageDecoder(8, 8, "crop"))
    assert len(set(kept_entries())) == 3


def test_what_another_version_of_the_decoder_made_is_another_entry(make_cache, monkeypatch):
    make_cache("disk")
    with monkeypatch.context() as patch:
        patch.setattr(decoded, "FORMAT", decoded.FORMAT + 1)
        make_cache("disk")
    monkeypatch.setattr(tf, "__version__", "9.9.9")
    make_cache("disk")
    assert len(set(kept_entries())) == 3


def test_who_waits_for_another_process_that_decodes_is_told(make_cache, caches):
    cache_folder("decoded")
    make_cache("disk")
    (key,) = kept_entries()
    gc.collect()
    shutil.rmtree(caches / "decoded" / key)
    told = threading.Event()
    with ThreadPoolExecutor() as pool:
        # A lock on a file of its own conflicts within a process as between two.
        with hold_exclusive(lock_path(caches / "decoded" / key)):
            waiting = pool.submit(make_cache, "disk", on_wait=told.set)
            assert told.wait(30)
        assert waiting.result() is not None


def test_a_file_that_does_not_decode_leaves_no_entry(examples, make_cache, tmp_path):
    (tmp_path / "34.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"34\.png"):
        make_cache("disk")
    assert kept_entries() == []


def test_a_data_set_reads_the_disk_as_it_reads_the_files(examples, make_cache):
    options = {"batch_size": 8, "shuffle_seed": 1, "epochs": 2}
    from_files, from_disk = (
        list(make_dataset(examples, DECODER, cache=cache, **options).as_numpy_iterator())
        for cache in (None, make_cache("disk"))
    )
    for (inputs, targets), (other_inputs, other_targets) in zip(from_files, from_disk, strict=True):
        assert np.array_equal(inputs["pixels"], other_inputs["pixels"])
        assert np.array_equal(targets, other_targets)


def test_filling_the_cache_reports_progress(make_cache):
    for mode in ("memory", "disk"):
        seen: list[tuple[int, int]] = []
        make_cache(mode, progress=lambda *now, seen=seen: seen.append(now))
        assert seen == [(32, NUM_EXAMPLES), (NUM_EXAMPLES, NUM_EXAMPLES)]


def test_a_file_that_does_not_decode_is_named(examples, tmp_path):
    (tmp_path / "04.png").write_bytes(b"broken")
    (tmp_path / "06.png").unlink()
    assert [path for path, _ in find_unreadable(examples, DECODER)] == [
        examples.inputs.paths[4],
        examples.inputs.paths[6],
    ]
    with pytest.raises(DataError, match=r"2 of 35 files(.|\n)*04.png(.|\n)*06.png"):
        decode_all(examples, DECODER)
    with (
        pytest.raises(DataError, match=r"04.png"),
        translate_read_errors(examples, DECODER),
    ):
        list(make_dataset(examples, DECODER, batch_size=4))


def test_some_bad_files_are_named_and_the_rest_counted(examples, tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02d}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"12 of 35 files(.|\n)*12 times(.|\n)*and 9 more"):
        decode_all(examples, DECODER)


def test_an_error_that_no_file_explains_stays_as_it_was(examples):
    with pytest.raises(tf.errors.InternalError), translate_read_errors(examples, DECODER):
        raise tf.errors.InternalError(None, None, "something else")


def stamped(examples: Examples) -> Examples:
    """As the gate hands them on."""
    states = [Path(path).stat() for path in examples.inputs.paths]
    return replace(
        examples,
        inputs=replace(examples.inputs, stamps=tuple((s.st_size, s.st_mtime_ns) for s in states)),
    )


def read_in_cache(examples: Examples) -> None:
    decode_all(examples, DECODER)


def read_in_batches(examples: Examples) -> None:
    with translate_read_errors(examples, DECODER):
        list(make_dataset(examples, DECODER, batch_size=10))


@pytest.mark.parametrize("read", [read_in_cache, read_in_batches])
def test_a_file_that_was_written_anew_since_it_was_checked_ends_the_run(
    examples, write_picture, read
):
    checked = stamped(examples)
    read(checked)
    write_picture("07.png", seed=99, size=(13, 11))  # a good picture, but another one
    with pytest.raises(DataError, match=r"1 of 35 files changed(.|\n)*07\.png: written anew"):
        read(checked)


@pytest.mark.parametrize("read", [read_in_cache, read_in_batches])
def test_a_file_that_vanished_since_it_was_checked_ends_the_run(examples, tmp_path, read):
    checked = stamped(examples)
    (tmp_path / "20.png").unlink()
    with pytest.raises(DataError, match=r"20\.png: there is no such file(.|\n)*") as caught:
        read(checked)
    assert "run again" in str(caught.value)


def test_files_that_nobody_checked_are_read_as_they_are(examples, write_picture):
    before = decode_all(examples, DECODER)["pixels"]
    write_picture("07.png", seed=99, size=(13, 11))
    read_in_batches(examples)
    refuse_changed(examples)
    changed = (decode_all(examples, DECODER)["pixels"] != before).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == [7]


def test_stamps_go_where_their_examples_go(examples):
    checked = stamped(examples)
    parts = [checked.take([3, 1]), checked.take([]), checked.take([34])]
    joined = Examples.join(parts)
    assert joined.inputs.stamps == (
        checked.inputs.stamps[3],
        checked.inputs.stamps[1],
        checked.inputs.stamps[34],
    )
    refuse_changed(joined)
    assert Examples.join([*parts, examples]).inputs.stamps is None
    with pytest.raises(DataError, match=r"1 of 3 files changed(.|\n)*01\.png: written anew"):
        refuse_changed(
            replace(
                joined,
                inputs=replace(
                    joined.inputs,
                    stamps=(checked.inputs.stamps[3], (0, 0), checked.inputs.stamps[34]),
                ),
            )
        )
