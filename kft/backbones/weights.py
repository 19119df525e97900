"""Weights files: finding, downloading, verifying and loading them."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kft.backbones.digests import OFFICIAL_DIGESTS
from kft.errors import BackboneError, StorageError, first_line
from kft.homes import keras_home

if TYPE_CHECKING:
    import keras

# A host that does not answer within this time counts as unreachable.
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class OfficialFile:
    """A weights file that Keras publishes.

    Attributes:
        name: Name under which Keras stores it, below a folder of its own if it has several parts.
        url: Address from which it is downloaded.
    """

    name: str
    url: str


def weights_folders() -> list[Path]:
    """Folders that are searched before anything is downloaded, in this order."""
    folders = []
    if os.environ.get("KFT_WEIGHTS_DIR"):
        folders.append(Path(os.environ["KFT_WEIGHTS_DIR"]).expanduser())
    # Without a home folder, Keras downloads into the system's temporary folder.
    with suppress(StorageError):
        folders.append(keras_home() / "models")
    return folders


def find_weights(candidates: Sequence[OfficialFile]) -> Path | None:
    """Find the first candidate that exists in one of the folders."""
    for candidate in candidates:
        for folder in weights_folders():
            path = folder / candidate.name
            if path.is_file():
                return path
    return None


def obtain_official(candidates: Sequence[OfficialFile]) -> Path:
    """Find or download an official weights file, and verify its digest.

    Args:
        candidates: Files that would do, best first.

    Returns:
        Path of the file.

    Raises:
        BackboneError: No candidate is found or can be downloaded, or the file is damaged.
    """
    found = find_weights(candidates)
    if found is None:
        found = _download(candidates)
    check_official(found)
    return found


def check_official(path: Path) -> None:
    """Refuse a file with an official name but another content.

    Raises:
        BackboneError: The digest for this name is known and differs.
    """
    expected = OFFICIAL_DIGESTS.get(path.name)
    if expected is None:
        return
    algorithm = _algorithm(expected)
    actual = digest(path, algorithm)
    if actual != expected:
        raise BackboneError(
            f"{path}: its {algorithm.upper()} is {actual}, but Keras's file of this name has "
            f"{expected}. The file is damaged or another one: delete it and download it again."
        )


def is_known(path: Path) -> bool:
    """Tell whether the file, under any name, has a digest that kft knows."""
    known = set(OFFICIAL_DIGESTS.values())
    return digest(path, "sha256") in known or digest(path, "md5") in known


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def digest_folder(folder: Path) -> str:
    """SHA-256 of a folder: of its files and their relative names."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(folder).as_posix().encode() + b"\0")
            total.update(bytes.fromhex(digest(path)))
    return total.hexdigest()


def load_given(model: keras.Model, path: Path, *, trust: bool) -> str:
    """Load the weights file that a user names.

    Args:
        model: Model that receives the weights; discard it if this raises.
        path: File ending in `.h5` (legacy), `.weights.h5` or `.keras`.
        trust: Whether to accept a legacy `.h5` file with an unknown digest.

    Returns:
        SHA-256 of the file.

    Raises:
        BackboneError: The file is missing, of another kind or unknown, or does not fit.
    """
    check_given(path, trust=trust)
    return load_file(model, path)


def check_given(path: Path, *, trust: bool) -> None:
    """Refuse a weights file that a user names; see `load_given`.

    Raises:
        BackboneError: The file is missing, of another kind or unknown.
    """
    if not path.is_file():
        raise BackboneError(
            f"backbone.weights: no such file: {path}. "
            "Allowed: pretrained, random, or the path of a .h5, .weights.h5 or .keras file."
        )
    if not path.name.endswith((".h5", ".keras")):
        raise BackboneError(
            f"backbone.weights: {path} is not a weights file that kft can read. "
            "Allowed endings: .h5, .weights.h5, .keras."
        )
    if is_legacy(path) and not trust and not is_known(path):
        raise BackboneError(
            f"backbone.weights: the legacy file {path} (SHA-256 {digest(path)}) is unknown to "
            "kft, and its format does not state its origin. "
            "If you trust the file, set `backbone.trust=true` or `--trust`."
        )


def is_legacy(path: Path) -> bool:
    """Tell whether a weights file has the format of Keras 2."""
    return path.suffix == ".h5" and not path.name.endswith(".weights.h5")


def load_file(
    model: keras.Model, path: Path, *, read: Callable[[keras.Model, Path], None] | None = None
) -> str:
    """Load a trusted weights file; return its SHA-256.

    Args:
        model: Model that receives the weights.
        path: File ending in `.h5` (legacy), `.weights.h5` or `.keras`.
        read: Reads a file that Keras cannot.

    Raises:
        BackboneError: The file is damaged or does not fit `model`.
    """
    try:
        if read is not None:
            read(model, path)
        elif path.suffix == ".keras":
            _copy_from_archive(model, path)
        else:
            if path.name.endswith(".weights.h5"):
                _check_count(model, path)
            model.load_weights(str(path))
    except BackboneError:
        raise
    except Exception as error:  # Keras, h5py and zipfile each raise their own.
        raise BackboneError(
            f"{path} does not fit {model.name!r}, which has "
            f"{len([la for la in model.layers if la.variables])} layers with weights and "
            f"{model.count_params():,} parameters: {first_line(error)} "
            "Check `backbone.name` and `backbone.options` (such as alpha), and that the file was "
            "saved without the classification top."
        ) from error
    return digest(path)


def _copy_from_archive(model: keras.Model, path: Path) -> None:
    """Copy the weights of a saved model whose variables have the same shapes."""
    import keras

    source = keras.saving.load_model(path, compile=False, safe_mode=True)
    found = [tuple(variable.shape) for variable in source.weights]
    expected = [tuple(variable.shape) for variable in model.weights]
    if found != expected:
        at = next(
            (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b),
            min(len(found), len(expected)),
        )
        raise ValueError(
            f"it holds {len(found)} variables, expected {len(expected)}; "
            f"the first difference is variable {at}."
        )
    for target, origin in zip(model.weights, source.weights, strict=True):
        target.assign(origin.value)


def _check_count(model: keras.Model, path: Path) -> None:
    """Refuse a `.weights.h5` file with more or fewer arrays than the model has variables."""
    import h5py

    arrays: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: arrays.append(name) if hasattr(item, "shape") else None)
    # Optimizer state and the states of dropout's random generators are not weights.
    others = ("optimizer", "seed_generator")
    held = [
        name for name in arrays if "/vars/" in f"/{name}" and not any(o in name for o in others)
    ]
    if len(held) != len(model.weights):
        raise ValueError(f"it holds {len(held)} arrays, expected {len(model.weights)}.")


def _download(candidates: Sequence[OfficialFile]) -> Path:
    """Download the first candidate on Keras's servers into the Keras cache."""
    from keras.utils import get_file

    problem = ""
    for candidate in candidates:
        expected = OFFICIAL_DIGESTS.get(candidate.name)
        place = Path("models", candidate.name)
        try:
            # Keras reports the download on standard output, which is reserved for results.
            with socket_timeout(), redirect_stdout(sys.stderr):
                fetched = get_file(
                    place.name, candidate.url, cache_subdir=str(place.parent), file_hash=expected
                )
            return Path(fetched)
        except Exception as error:  # get_file raises bare Exception
            problem = problem or first_line(error)
    names = " or ".join(dict.fromkeys(candidate.name for candidate in candidates))
    folders = ", ".join(str(folder) for folder in weights_folders())
    raise BackboneError(
        f"backbone.weights: {names} is not in {folders}, and downloading "
        f"{candidates[0].url} failed: {problem} Put the file into one of these folders, or set "
        "KFT_WEIGHTS_DIR to the folder that holds it, or give its path as "
        "`backbone.weights=PATH`, or start from `backbone.weights=random`."
    )


@contextmanager
def socket_timeout(seconds: float = _TIMEOUT_SECONDS) -> Iterator[None]:
    """Let connections fail after `seconds` instead of blocking."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _algorithm(hexadecimal: str) -> str:
    return "sha256" if len(hexadecimal) == 64 else "md5"
