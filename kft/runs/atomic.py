"""Atomic writes: a file or folder is complete or absent (temporary name, sync, rename)."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import ConfigError
from kft.runs.storage import attach_path, check_folder


def _temporary_sibling(path: Path) -> Path:
    """Make a name beside `path` with the same suffix, by which Keras chooses the format."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")


def _sync(path: Path) -> None:
    """Flush the file or folder at `path` to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write; rename it to `path` on success, remove it on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_sibling(path)
    try:
        with attach_path(path):
            yield temporary
            _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Give a temporary folder to fill; rename it to `path` on success, remove it on failure.

    Raises:
        FileExistsError: `path` exists by then and is not empty.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_sibling(path)
    temporary.mkdir()
    try:
        with attach_path(path):
            yield temporary
            for written in temporary.rglob("*"):
                if written.is_file():
                    _sync(written)
        try:
            temporary.rename(path)
        except OSError as error:
            # ENOTEMPTY or EEXIST, depending on the file system.
            if path.exists():
                raise FileExistsError(f"{path} already exists") from error
            raise
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_output_file(path: Path, option: str, ending: str) -> None:
    """Refuse a path where no file can be written, before any work is done for it.

    Args:
        path: Path of the file.
        option: Command line option that gives the path.
        ending: Of the file to be written, with its dot.

    Raises:
        ConfigError: The path has another ending, or its folder does not exist.
        StorageError: The folder is not writable.
    """
    if path.suffix.lower() != ending:
        raise ConfigError(f"{option}: found {path}; the path must end in {ending}.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option}: {path} cannot be written. Give a file name in a folder that exists."
        )
    check_folder(path.absolute().parent, option)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_array(path: Path | str, values: np.ndarray) -> None:
    """Write an npy file atomically."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_bytes(path, content.getvalue())


def write_arrays(
    path: Path | str, arrays: Mapping[str, np.ndarray], *, is_compressed: bool = False
) -> None:
    """Write an npz file of arrays by name atomically."""
    content = io.BytesIO()
    save = np.savez_compressed if is_compressed else np.savez
    save(content, allow_pickle=False, **dict(arrays))
    write_bytes(path, content.getvalue())


def write_json(path: Path | str, value: Any) -> None:
    """Write indented JSON with a final newline, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
