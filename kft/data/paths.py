"""Lookup of the files that a table or folder names, within the folders that they may use."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from kft.errors import DataError

# URL scheme -> command that copies from it.
_COPY_COMMANDS = {
    **{"gs": "gsutil cp -r", "s3": "aws s3 cp --recursive", "hdfs": "hdfs dfs -get"},
    **dict.fromkeys(("http", "https", "ftp"), "curl -LO"),
    **dict.fromkeys(("az", "abfs", "abfss", "wasb", "wasbs"), "azcopy copy"),
    "hf": "hf download",
}
_ANY_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
# Form of `://` after a path is normalised.
_KNOWN_SCHEME = re.compile(rf"(^|/)(?P<scheme>{'|'.join(_COPY_COMMANDS)}):/(?=[^/])", re.IGNORECASE)
A_FOLDER = "a folder, not a file"
# Number of folders whose real paths are cached; enough for tables in any order.
_REMEMBERED_FOLDERS = 10_000


class PathFinder:
    """Lookup of files in one folder, or in other folders that the user allows; resolves links.

    Args:
        folder: Absolute folder that relative paths start from.
        outside: Other folders that may be read.
        advice: End of a message about a file outside: the kind of folder, and the remedy.
    """

    def __init__(
        self,
        folder: Path,
        outside: Sequence[str] = (),
        *,
        advice: str = (
            "the table's folder. Move the table to a folder above the files, or add their folder "
            "to data.table.allowed_roots"
        ),
    ) -> None:
        self._advice = advice
        # Text instead of Path: a table may hold a million paths, and Path is ten times slower.
        self._folder = str(folder)
        self._prefix = _with_slash(self._folder)
        self._roots = [
            os.path.realpath(root) for root in (folder, *(Path(o).expanduser() for o in outside))
        ]
        self._resolve_folder = lru_cache(_REMEMBERED_FOLDERS)(os.path.realpath)

    def locate(self, written: str) -> tuple[str, str]:
        """Return the id and absolute path; the id is the path relative to the folder.

        A file outside the folder has an absolute id. A file has one id, regardless of the
        spelling of its path in the table.
        """
        if written.startswith("~/"):
            written = f"{Path.home()}{written[1:]}"
        path = os.path.normpath(self.path_of(written))
        inside = self._relate(path, self._folder)
        if inside is None:
            # The path to the folder itself may contain a link.
            inside = self._relate(os.path.realpath(path), self._roots[0])
            path = path if inside is None else self.path_of(inside)
        return (path if inside is None else inside), path

    def path_of(self, example_id: str) -> str:
        """Return the path of an id that `locate` gave."""
        return example_id if example_id.startswith("/") else f"{self._prefix}{example_id}"

    @staticmethod
    def _relate(path: str, folder: str) -> str | None:
        """Make a path relative to a folder; None if it is not below it."""
        prefix = _with_slash(folder)
        return path[len(prefix) :] if path.startswith(prefix) else None

    def find_problem(self, path: str) -> str | None:
        """Return the reason why a located path cannot be used; None if it can."""
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
        return A_FOLDER if stat.S_ISDIR(mode) else "a pipe or device, not a file"

    def is_allowed(self, real_folder: str) -> bool:
        """Whether files of a folder, given as its real path, may be read."""
        return any(
            real_folder == root or self._relate(real_folder, root) is not None
            for root in self._roots
        )

    def describe_outside(self, path: str, real: str) -> str:
        """Describe why the target of a path may not be read."""
        is_link = self._relate(path, self._folder) is not None
        how = f"leads by a link to {real}, outside" if is_link else "lies outside"
        return f"{how} {self._folder}, {self._advice}"


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def _parent(path: str) -> str:
    """Return the folder of an absolute path."""
    return path.rpartition("/")[0] or "/"


def describe_failure(path: str, error: OSError) -> str:
    """Describe why a file cannot be accessed, without naming it."""
    if error.errno == errno.ELOOP:
        return "a circular link"
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"cannot be accessed ({error.strerror})"
    if Path(path).is_symlink():
        return "a link that leads nowhere"
    remote = find_remote(path)
    if remote is not None:
        return remote
    return "there is no such file" + ("; write / for \\" if "\\" in path else "")


def find_remote(path: str) -> str | None:
    """Return the reason why a missing path is not a local path; None if it may be local.

    Args:
        path: Path as written, or made absolute.
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
    """Refuse a remote path.

    Args:
        path: Path as the user wrote it.

    Raises:
        DataError: The path begins with a scheme, such as `gs://` or `https://`, and is not a
            local file.
    """
    problem = None if os.path.lexists(path) else find_remote(path)
    if problem is not None:
        raise DataError(f"{path}: {problem}.")
