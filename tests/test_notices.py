import os
import re

from kft.notices import hold_back


def test_notices_are_dropped_and_other_lines_come_after(capfd):
    with hold_back(re.compile(rb"INFO: ")):
        os.write(2, b"INFO: made a delegate\nthe disk is full\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "the disk is full\n"


def test_what_was_said_before_an_error_is_not_lost(capfd):
    try:
        with hold_back(re.compile(rb"INFO: ")):
            os.write(2, b"no such kernel\n")
            raise ValueError
    except ValueError:
        pass
    assert capfd.readouterr().err == "no such kernel\n"
