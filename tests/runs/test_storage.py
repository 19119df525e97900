"""Unwritable folders and full disks are reported with name, reason and remedy."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kft.cli.main import main
from kft.errors import StorageError
from kft.runs import caches as caches_module
from kft.runs import storage
from kft.runs.atomic import write_text
from kft.runs.layout import RunDirectory
from kft.runs.storage import check_cache, check_folder, find_obstacle, find_storage_failure


def os_error(number, path=None):
    return OSError(number, os.strerror(number), path)


@pytest.fixture
def refusing(monkeypatch):
    """Let every attempt to create a file fail with a given error number."""

    def refuse(number):
        def fail(*args, **options):
            raise os_error(number)

        monkeypatch.setattr(storage.tempfile, "TemporaryFile", fail)

    return refuse


@pytest.fixture
def disk(tmp_path):
    """Mount small disks for the length of a test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk needs root")
    mounted = []

    def mount(*options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this system mounts no disk: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_can_be_created_has_no_obstacle_and_is_not_created(tmp_path):
    assert find_obstacle(tmp_path / "a" / "b") is None
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    assert find_obstacle(tmp_path / "a" / "b") == f"{tmp_path / 'a'} is not a folder"
    with pytest.raises(StorageError, match=r"^runs_directory: .*/a/b is not writable: "):
        check_folder(tmp_path / "a" / "b", "runs_directory")


def test_a_full_disk_is_not_an_obstacle_since_the_cache_can_free_space(tmp_path, refusing):
    refusing(errno.ENOSPC)
    assert find_obstacle(tmp_path) is None


def test_a_folder_of_another_user_is_reported_with_both_names(tmp_path, refusing, monkeypatch):
    refusing(errno.EACCES)
    monkeypatch.setattr(storage.os, "geteuid", lambda: 4_000_000)
    found = find_obstacle(tmp_path / "later")
    assert found.startswith("permission is denied: it belongs to user ")
    assert found.endswith(f", you are 4000000 ({tmp_path})")


def test_a_read_only_mount_is_an_obstacle(disk):
    folder = disk("ro")
    assert find_obstacle(folder / "kft") == f"its file system is read-only ({folder})"


def test_an_unwritable_cache_is_reported_with_its_variable(monkeypatch, tmp_path, refusing):
    check_cache()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=rf"^{tmp_path}/file: .*\. Set KFT_CACHE_DIR to a"):
        check_cache()
    monkeypatch.delenv("KFT_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    refusing(errno.EROFS)
    with pytest.raises(StorageError, match=r"read-only.*\(HOME is not set\)\. Set KFT_CACHE_DIR"):
        check_cache()


def test_a_room_of_the_cache_created_by_another_user_is_named(caches, monkeypatch):
    (caches / "features").mkdir(parents=True)

    def only_root(folder):
        return "permission is denied" if folder.name == "features" else None

    monkeypatch.setattr(storage, "find_obstacle", only_root)
    with pytest.raises(
        StorageError, match=rf"^{caches}/features: the cache folder is not writable"
    ):
        check_cache()


def test_a_user_without_a_home_learns_of_both_variables(monkeypatch):
    def unknown(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KFT_CACHE_DIR")
    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(StorageError, match=r"Set KFT_CACHE_DIR to a writable folder, or set HOME"):
        caches_module.cache_root()


class TensorFlowError(Exception):
    """Imitation of the classes in `tf.errors`."""


TensorFlowError.__module__ = "tensorflow.python.framework.errors_impl"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space is left on its disk"),
        (errno.EDQUOT, "the quota of its disk is used up"),
        (errno.EROFS, "its file system is read-only"),
        (errno.EACCES, "permission is denied"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_each_system_error_becomes_one_message(number, words, wrapped, tmp_path):
    path = tmp_path / "variables" / "part-0"
    error = os_error(number, str(path))
    if wrapped:
        error = TensorFlowError(
            f"{{{{node __SaveV2_/job:local/CPU:0}}}} {path}; {os.strerror(number)} [Op:SaveV2]"
        )
    failure = find_storage_failure(error)
    assert str(failure).startswith(f"{path}: cannot be written: {words}")
    assert failure.exit_code == 2


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EIO, "its disk fails"), (errno.ESTALE, "its network disk is gone")]
)
def test_a_lost_disk_asks_to_run_the_command_again(number, words):
    failure = find_storage_failure(os_error(number, "/srv/data/x.jpg"))
    assert str(failure).startswith(f"/srv/data/x.jpg: cannot be used: {words}. Run the command")
    assert failure.exit_code == 1


def test_an_error_caused_by_a_storage_failure_reports_that_failure():
    try:
        try:
            raise os_error(errno.EROFS, "/somewhere/x")
        except OSError:
            raise ValueError("the model cannot be saved")  # noqa: B904
    except ValueError as error:
        assert "/somewhere/x: cannot be written" in str(find_storage_failure(error))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
        # Of a process, a port …
        os_error(errno.EPERM),
        TensorFlowError("/x; No such file or directory"),
        RuntimeError("/x; Read-only file system"),
    ],
)
def test_other_errors_are_not_storage_failures(error):
    assert find_storage_failure(error) is None


def test_a_full_disk_names_the_final_file_the_free_space_and_the_remedy(disk):
    folder = disk("size=100k")
    with pytest.raises(OSError) as caught:
        write_text(folder / "metrics.json", "x" * 200_000)
    assert str(find_storage_failure(caught.value)) == (
        f"{folder}/metrics.json: cannot be written: no space is left on its disk ({folder}: "
        "0.1 of 0.1 MB are free without it). Free space on that disk."
    )
    assert not list(folder.iterdir())


def test_clearing_the_cache_on_the_full_disk_is_suggested(caches):
    entry = caches / "features" / "abc"
    entry.mkdir(parents=True)
    (entry / "activations.npy").write_bytes(b"x" * 2_500_000)
    failure = find_storage_failure(os_error(errno.ENOSPC, str(caches / "x")))
    assert "`kft cache clear` frees up to 2.5 MB of it" in str(failure)


def test_a_run_on_a_read_only_disk_is_refused_with_a_remedy_before_it_is_locked(disk):
    folder = disk("size=1m")
    run = RunDirectory(folder / "run")
    run.write_status("finished")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    with pytest.raises(StorageError, match=r"read-only.* Copy the run to a"), run.hold():
        pass
    assert run.read_status()["state"] == "finished"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_no_storage_failure_is_reported_as_a_bug_of_kft(number, monkeypatch):
    def fail(room):
        raise os_error(number, "/somewhere/file")

    monkeypatch.setattr(caches_module, "find_entries", fail)
    result = CliRunner().invoke(main, ["cache", "list"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: /somewhere/file: cannot be written: ")
    assert "fault" not in result.stderr and len(result.stderr.splitlines()) == 1


VERBS = ("check", "train", "audit", "tune", "find-learning-rate", "pretrain", "data", "benchmark")


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_that_needs_the_cache_checks_it_before_any_work(
    verb, tmp_path, make_picture_folder, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make_picture_folder("photos", classes=("cat", "dog"), per_class=2, size=8)
    Path("file").write_text("")
    monkeypatch.setenv("KFT_CACHE_DIR", "file")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(main, [verb, "photos", "backbone.name=small_cnn"])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: file: the cache folder is not writable")
    assert "KFT_CACHE_DIR" in line
    assert sorted(tmp_path.rglob("*")) == before
