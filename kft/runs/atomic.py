"""Writes that are either whole or absent: temporary name, sync, rename."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import ConfigError
from kft.runs.storage import attach_path, check_folder


def _temporary_sibling(path: Path) -> Path:
    """A name beside `path`, keeping its ending (Keras chooses formats by it)."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")


def _sync(path: Path) -> None:
    """Ask the disk to hold what was written at `path`, a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """A temporary path to write; on success it becomes `path`, on failure it is removed."""
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
    """A temporary folder to fill; on success it becomes `path`, which must not exist yet.

    Raises:
        FileExistsError: `path` came into being meanwhile and is not empty.
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
            # The system says ENOTEMPTY or EEXIST, by file system.
            if path.exists():
                raise FileExistsError(f"{path} exists already") from error
            raise
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_picture_path(path: Path, option: str) -> None:
    """That a picture can be written at `path`, told before any work is done for it.

    Args:
        path: Of the PNG file.
        option: Of the command line that names it.

    Raises:
        ConfigError: It is no PNG file, or in no folder that exists.
        StorageError: The folder cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(
            f"{option}: found {path}. The picture is a PNG file: it must end in .png."
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option}: {path} cannot be written: it is no file in a folder that exists."
        )
    check_folder(path.absolute().parent, option)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_array(path: Path | str, values: np.ndarray) -> None:
    """Write an npy file whole or not at all."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_bytes(path, content.getvalue())


def write_json(path: Path | str, value: Any) -> None:
    """Write indented JSON with a final newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
