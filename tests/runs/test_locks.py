"""Locks between processes, on every file system."""

import errno
import fcntl
import os

import pytest

from kft.runs.locks import hold_exclusive, open_shared, try_exclusive


@pytest.fixture
def nfs(monkeypatch):
    """Imitate NFS, where an exclusive lock needs a writable descriptor."""
    flock = fcntl.flock

    def lock(descriptor, kind):
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if kind & fcntl.LOCK_EX and mode == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", lock)


def test_nfs_grants_every_lock(tmp_path, nfs):
    path = tmp_path / "lock"
    with try_exclusive(path, make=True) as is_exclusive:
        assert is_exclusive
        with try_exclusive(path) as is_exclusive_too:
            assert not is_exclusive_too
    os.close(open_shared(path))
    with hold_exclusive(path):
        assert path.exists()


def test_a_missing_file_cannot_be_locked(tmp_path):
    with try_exclusive(tmp_path / "none") as is_exclusive:
        assert not is_exclusive
