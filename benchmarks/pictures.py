"""The data sets of the benchmarks, and folders of copies that rearrange them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kft.config import load_pipeline
from kft.data import load_splits

# MobileNetV2 0.35 by its .h5 weights.
BACKBONE = ("backbone.name=mobilenet_v2", "backbone.options.alpha=0.35")
SIZE = 160
WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


@dataclass(frozen=True)
class Given:
    """A data set that is split already.

    Attributes:
        name: In tables.
        folder: Of `train` and the holdout.
        holdout: Its folder's name.
    """

    name: str
    folder: Path
    holdout: str

    @property
    def settings(self) -> tuple[str, ...]:
        """Of kft's pipeline."""
        return ("data.validation=0", f"data.folders.holdout={self.holdout}")

    @property
    def num_pictures(self) -> int:
        """To learn from."""
        return sum(1 for _ in (self.folder / "train").rglob("*.*"))


@dataclass(frozen=True)
class DataSet:
    """Labelled pictures, and how they are split.

    Attributes:
        name: In tables.
        folder: Where they are.
        settings: Of the pipeline, validation aside.
    """

    name: str
    folder: Path
    settings: tuple[str, ...] = ()


def find_data_set(name: str, shared: Path, scratch: Path) -> DataSet:
    """`ants_bees` and `sign_digits` whole; of `cifar10` 200 training pictures a class.

    Args:
        name: One of these.
        shared: The folder of real data.
        scratch: Where copies may be made.
    """
    folder = shared / "data/image" / name
    if name == "ants_bees":
        return DataSet(name, folder, ("data.folders.holdout=val",))
    if name == "sign_digits":
        return DataSet(name, folder, ("data.holdout=0.3",))
    return DataSet(name, copy_part(folder, scratch / "cifar10", per_class=200))


def arrange(data_set: DataSet, scratch: Path) -> Given:
    """A data set as folders of training and holdout pictures, split as kft splits it."""
    if (data_set.folder / "train").is_dir():
        holdout = next(name for name in ("val", "holdout") if (data_set.folder / name).is_dir())
        return Given(data_set.name, data_set.folder, holdout)
    splits = load_splits(load_pipeline(str(data_set.folder), data_set.settings).data)
    target = scratch / f"{data_set.name}-arranged"
    parts = {"train": ("train", "validation"), "holdout": ("holdout",)}
    for name, of_splits in parts.items():
        for example_id in splits.join(of_splits).ids:
            _copy([data_set.folder / example_id], (target / name / example_id).parent)
    return Given(data_set.name, target, "holdout")


def copy_part(source: Path, target: Path, *, per_class: int) -> Path:
    """`train` with so many pictures of each class, spread evenly, and `holdout`, all of `test`."""
    for folder in _class_folders(source / "train"):
        files = sorted(folder.iterdir())
        chosen = [files[i * len(files) // per_class] for i in range(per_class)]
        _copy(chosen, target / "train" / folder.name)
    for folder in _class_folders(source / "test"):
        _copy(sorted(folder.iterdir()), target / "holdout" / folder.name)
    return target


def copy_together(sources: Iterable[Path], target: Path) -> Path:
    """The pictures of several folders of class folders as one."""
    for source in sources:
        for folder in _class_folders(source):
            _copy(sorted(folder.iterdir()), target / folder.name, prefix=f"{source.name}-")
    return target


def copy_repeated(source: Path, target: Path, *, count: int) -> Path:
    """`count` pictures in the class folders of `source`, each file as often as it takes."""
    folders = _class_folders(source)
    for folder in folders:
        again = itertools.cycle(sorted(folder.iterdir()))
        _copy(itertools.islice(again, count // len(folders)), target / folder.name, numbered=True)
    return target


def _class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _copy(files: Iterable[Path], folder: Path, *, prefix: str = "", numbered: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(files):
        name = f"{index:06d}-{file.name}" if numbered else file.name
        # No link: one that leads out of the folder of the data is refused.
        shutil.copyfile(file, folder / f"{prefix}{name}")
