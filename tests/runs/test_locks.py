"""Locks between processes, as each file system grants them."""

import errno
import fcntl
import os

import pytest

from kft.runs.locks import hold_exclusive, open_shared, try_exclusive


@pytest.fixture
def nfs(monkeypatch):
    """NFS makes of a lock for one process alone a write lock, and wants the file open for it."""
    flock = fcntl.flock

    def lock(descriptor, kind):
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if kind & fcntl.LOCK_EX and mode == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", lock)


def test_every_lock_is_one_that_nfs_grants(tmp_path, nfs):
    path = tmp_path / "lock"
    with try_exclusive(path, make=True) as is_exclusive:
        assert is_exclusive
        with try_exclusive(path) as is_exclusive_too:
            assert not is_exclusive_too
    os.close(open_shared(path))
    with hold_exclusive(path):
        assert path.exists()


def test_nobody_holds_what_is_not_there(tmp_path):
    with try_exclusive(tmp_path / "none") as is_exclusive:
        assert not is_exclusive
