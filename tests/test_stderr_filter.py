import os
import re

from kft.stderr_filter import filter_stderr


def test_notices_are_dropped_and_other_lines_come_after(capfd):
    with filter_stderr(re.compile(rb"INFO: ")):
        os.write(2, b"INFO: made a delegate\nthe disk is full\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "the disk is full\n"


def test_what_was_said_before_an_error_is_not_lost(capfd):
    try:
        with filter_stderr(re.compile(rb"INFO: ")):
            os.write(2, b"no such kernel\n")
            raise ValueError
    except ValueError:
        pass
    assert capfd.readouterr().err == "no such kernel\n"
