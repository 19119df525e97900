"""Locks between processes, as each file system grants them."""

import errno
import fcntl
import os

import pytest

from kft.runs.locks import hold_alone, share, try_alone


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
    with try_alone(path, make=True) as is_alone:
        assert is_alone
        with try_alone(path) as is_alone_too:
            assert not is_alone_too
    os.close(share(path))
    with hold_alone(path):
        assert path.exists()


def test_nobody_holds_what_is_not_there(tmp_path):
    with try_alone(tmp_path / "none") as is_alone:
        assert not is_alone
