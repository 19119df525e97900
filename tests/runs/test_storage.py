"""A folder that cannot be written, or a full disk, is told by name, reason and remedy."""

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
    """No file can be made anywhere, as the system says by an error number."""

    def refuse(number):
        def fail(*args, **options):
            raise os_error(number)

        monkeypatch.setattr(storage.tempfile, "TemporaryFile", fail)

    return refuse


@pytest.fixture
def disk(tmp_path):
    """Mounts small disks; they are gone after the test."""
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


def test_a_folder_that_can_be_made_has_no_obstacle_and_is_not_made(tmp_path):
    assert find_obstacle(tmp_path / "a" / "b") is None
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    assert find_obstacle(tmp_path / "a" / "b") == f"{tmp_path / 'a'} is not a folder"
    with pytest.raises(StorageError, match=r"^runs_directory: .*/a/b cannot be written: "):
        check_folder(tmp_path / "a" / "b", "runs_directory")


def test_a_full_disk_is_no_obstacle_before_the_work_since_the_cache_makes_room(tmp_path, refusing):
    refusing(errno.ENOSPC)
    assert find_obstacle(tmp_path) is None


def test_a_folder_of_another_user_is_told_with_both_names(tmp_path, refusing, monkeypatch):
    refusing(errno.EACCES)
    monkeypatch.setattr(storage.os, "geteuid", lambda: 4_000_000)
    found = find_obstacle(tmp_path / "later")
    assert found.startswith("permission is denied: it belongs to user ")
    assert found.endswith(f", you are 4000000 ({tmp_path})")


def test_a_disk_that_is_mounted_for_reading_is_one(disk):
    folder = disk("ro")
    assert find_obstacle(folder / "kft") == f"its file system is read-only ({folder})"


def test_a_cache_that_cannot_be_written_is_told_with_its_variable(monkeypatch, tmp_path, refusing):
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


def test_a_room_of_the_cache_that_another_user_made_is_named(caches, monkeypatch):
    (caches / "features").mkdir(parents=True)

    def only_root(folder):
        return "permission is denied" if folder.name == "features" else None

    monkeypatch.setattr(storage, "find_obstacle", only_root)
    with pytest.raises(StorageError, match=rf"^{caches}/features: the cache folder cannot"):
        check_cache()


def test_a_user_without_a_home_is_told_both_variables(monkeypatch):
    def unknown(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KFT_CACHE_DIR")
    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(StorageError, match=r"Set KFT_CACHE_DIR to a folder .*, or HOME"):
        caches_module.cache_root()


class TensorFlowError(Exception):
    """As those that `tf.errors` has."""


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
def test_what_the_system_says_becomes_one_message(number, words, wrapped, tmp_path):
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
def test_a_disk_that_may_be_back_asks_for_another_start(number, words):
    failure = find_storage_failure(os_error(number, "/srv/data/x.jpg"))
    assert str(failure).startswith(f"/srv/data/x.jpg: cannot be used: {words}. Start the command")
    assert failure.exit_code == 1


def test_an_error_that_was_raised_for_another_tells_of_that_one():
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
def test_other_errors_say_nothing_of_a_disk(error):
    assert find_storage_failure(error) is None


def test_a_full_disk_names_the_final_file_the_room_that_is_left_and_how_to_make_more(disk):
    folder = disk("size=100k")
    with pytest.raises(OSError) as caught:
        write_text(folder / "metrics.json", "x" * 200_000)
    assert str(find_storage_failure(caught.value)) == (
        f"{folder}/metrics.json: cannot be written: no space is left on its disk ({folder}: "
        "0.1 of 0.1 MB are free without it). Make room on that disk."
    )
    assert not list(folder.iterdir())


def test_what_the_cache_holds_on_the_full_disk_is_offered(caches):
    entry = caches / "features" / "abc"
    entry.mkdir(parents=True)
    (entry / "activations.npy").write_bytes(b"x" * 2_500_000)
    failure = find_storage_failure(os_error(errno.ENOSPC, str(caches / "x")))
    assert "`kft cache clear` frees up to 2.5 MB of it" in str(failure)


def test_a_run_on_a_read_only_disk_says_what_to_do_before_it_is_held(disk):
    folder = disk("size=1m")
    run = RunDirectory(folder / "run")
    run.write_status("finished")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    with pytest.raises(StorageError, match=r"read-only.* Copy it to a folder"), run.hold():
        pass
    assert run.read_status()["state"] == "finished"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_no_such_error_is_called_a_fault_of_kft(number, monkeypatch):
    def fail(room):
        raise os_error(number, "/somewhere/file")

    monkeypatch.setattr(caches_module, "find_entries", fail)
    result = CliRunner().invoke(main, ["cache", "list"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: /somewhere/file: cannot be written: ")
    assert "fault" not in result.stderr and len(result.stderr.splitlines()) == 1


VERBS = ("check", "train", "audit", "tune", "find-lr", "pretrain", "data", "benchmark")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_needs_the_cache_tells_before_any_work(
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
    assert line.startswith("error: file: the cache folder cannot be written")
    assert "KFT_CACHE_DIR" in line
    assert sorted(tmp_path.rglob("*")) == before
