import os
import re

from kft.stderr_filter import filter_stderr


def test_matching_lines_are_dropped_and_others_printed_at_the_end(capfd):
    with filter_stderr(re.compile(rb"INFO: ")):
        os.write(2, b"INFO: made a delegate\nthe disk is full\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "the disk is full\n"


def test_lines_before_an_error_are_not_lost(capfd):
    try:
        with filter_stderr(re.compile(rb"INFO: ")):
            os.write(2, b"no such kernel\n")
            raise ValueError
    except ValueError:
        pass
    assert capfd.readouterr().err == "no such kernel\n"
