"""The garbage collector rests where it is told to, and no longer."""

import gc

import pytest

from kft.garbage import without_collection


def test_nothing_is_collected_inside_and_again_outside():
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_after_an_error_inside_it_collects_again():
    with pytest.raises(ValueError, match="no use"), without_collection():
        raise ValueError("no use")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
