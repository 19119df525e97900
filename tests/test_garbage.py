"""The garbage collector is paused only as long as requested."""

import gc

import pytest

from kft.garbage import without_collection


def test_collection_is_paused_inside_and_resumes_outside():
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_resumes_after_an_error():
    with pytest.raises(ValueError, match="no use"), without_collection():
        raise ValueError("no use")
    assert gc.isenabled()


def test_a_disabled_collector_stays_disabled():
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
