"""What a table writes -> the file that it names, if the table may name it."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from kft.errors import DataError

# Of each scheme the tool that copies from it.
_COPY_COMMANDS = {
    **{"gs": "gsutil cp -r", "s3": "aws s3 cp --recursive", "hdfs": "hdfs dfs -get"},
    **dict.fromkeys(("http", "https", "ftp"), "curl -LO"),
    **dict.fromkeys(("az", "abfs", "abfss", "wasb", "wasbs"), "azcopy copy"),
    "hf": "hf download",
}
_ANY_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
# What `://` becomes where a path is put in order.
_KNOWN_SCHEME = re.compile(rf"(^|/)(?P<scheme>{'|'.join(_COPY_COMMANDS)}):/(?=[^/])", re.IGNORECASE)
# Folders whose real place is remembered; enough for any order that tables come in.
_REMEMBERED_FOLDERS = 10_000


class PathFinder:
    """Finds files that lie in one folder, links resolved, or in others that a user names.

    Args:
        folder: What relative paths start from, absolute.
        outside: Other folders that may be read.
        advice: What the folder is, and what to do about files outside it.
    """

    def __init__(
        self,
        folder: Path,
        outside: Sequence[str] = (),
        *,
        advice: str = (
            "the table's folder. Move the table to a folder above the files, or name theirs in "
            "data.table.allowed_roots"
        ),
    ) -> None:
        self._advice = advice
        # Text, not Path: a table may hold a million, and Path takes ten times as long.
        self._folder = str(folder)
        self._prefix = _with_slash(self._folder)
        self._roots = [
            os.path.realpath(root) for root in (folder, *(Path(o).expanduser() for o in outside))
        ]
        self._resolve_folder = lru_cache(_REMEMBERED_FOLDERS)(os.path.realpath)

    def locate(self, written: str) -> tuple[str, str]:
        """Id and absolute path: the id is relative to the folder, of files outside it absolute.

        So a file has one id, however the table writes its path.
        """
        if written.startswith("~/"):
            written = f"{Path.home()}{written[1:]}"
        path = os.path.normpath(self.path_of(written))
        inside = self._relate(path, self._folder)
        if inside is None:
            # The folder itself may be reached by way of a link.
            inside = self._relate(os.path.realpath(path), self._roots[0])
            path = path if inside is None else self.path_of(inside)
        return (path if inside is None else inside), path

    def path_of(self, example_id: str) -> str:
        """The path of an id that `locate` gave."""
        return example_id if example_id.startswith("/") else f"{self._prefix}{example_id}"

    @staticmethod
    def _relate(path: str, folder: str) -> str | None:
        """A path below a folder, relative to it; else None."""
        prefix = _with_slash(folder)
        return path[len(prefix) :] if path.startswith(prefix) else None

    def find_problem(self, path: str) -> str | None:
        """Why a located path cannot be used; None where it can be."""
        real_folder = self._resolve_folder(_parent(path))
        if not self.is_allowed(real_folder):
            return self.describe_outside(path, real_folder)
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                real = os.path.realpath(path)
                if not self.is_allowed(_parent(real)):
                    return self.describe_outside(path, real)
                mode = Path(path).stat().st_mode
        except OSError as error:
            return describe_failure(path, error)
        if stat.S_ISREG(mode):
            return None
        return "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or device, not a file"

    def is_allowed(self, real_folder: str) -> bool:
        """Whether files of a folder, all links resolved, may be read."""
        return any(
            real_folder == root or self._relate(real_folder, root) is not None
            for root in self._roots
        )

    def describe_outside(self, path: str, real: str) -> str:
        """Why what a path leads to may not be read."""
        is_link = self._relate(path, self._folder) is not None
        how = f"leads by a link to {real}, outside" if is_link else "lies outside"
        return f"{how} {self._folder}, {self._advice}"


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def _parent(path: str) -> str:
    """The folder of an absolute path."""
    return path.rpartition("/")[0] or "/"


def describe_failure(path: str, error: OSError) -> str:
    """Why a file cannot be looked at, in words that do not name it."""
    if error.errno == errno.ELOOP:
        return "a link that leads in a circle"
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"cannot be looked at ({error.strerror})"
    if Path(path).is_symlink():
        return "a link that leads nowhere"
    remote = find_remote(path)
    if remote is not None:
        return remote
    return "there is no such file" + ("; write / for \\" if "\\" in path else "")


def find_remote(path: str) -> str | None:
    """Why a path that leads to nothing is none of this machine; None where it may be.

    Args:
        path: As it is written, or made absolute.
    """
    match = _ANY_SCHEME.match(path) or _KNOWN_SCHEME.search(path)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    if scheme == "file":
        return "a URL; write the path alone, without file://"
    command = _COPY_COMMANDS.get(scheme)
    how = "" if command is None else f", for example with `{command} ...`"
    return f"a remote path ({scheme}://), but kft reads local files only; copy it here first{how}"


def refuse_remote(path: str) -> None:
    """Make sure that a path is none of another machine.

    Args:
        path: As a user wrote it.

    Raises:
        DataError: It begins with a scheme, such as `gs://` or `https://`, and is no local path.
    """
    problem = None if os.path.lexists(path) else find_remote(path)
    if problem is not None:
        raise DataError(f"{path}: {problem}.")
