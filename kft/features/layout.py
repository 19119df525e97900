"""Layout of stored activations: the shape, type and size of each array."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kft.config import FeaturesConfig
from kft.features.cut import Cut
from kft.runs.arrays import write_all_blocks

# For smaller feature maps, float16 would save no noticeable space or time.
_LARGE_BYTES = 64_000_000


@dataclass(frozen=True)
class Layout:
    """Shapes and types of the arrays that hold the activations at a cut.

    Attributes:
        shapes: Shape (views, examples, …) of each array, by name.
        dtypes: Type of each array as the prefix computes it. Floats are float32; they may be
            stored as float16.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, np.dtype]

    def count_bytes(self, float_bytes: int) -> int:
        """Size of all arrays if each float takes `float_bytes`."""
        return sum(
            math.prod(shape)
            * (float_bytes if self.dtypes[name].kind == "f" else self.dtypes[name].itemsize)
            for name, shape in self.shapes.items()
        )

    def find_dtype(self, config: FeaturesConfig) -> str:
        """Type of the floats that the pipeline sets; 'auto' stays open only for large maps."""
        is_large_map = any(
            len(shape) > 3 and 4 * math.prod(shape) >= _LARGE_BYTES
            for shape in self.shapes.values()
        )
        return "float32" if config.dtype == "auto" and not is_large_map else config.dtype

    def least_bytes(self, config: FeaturesConfig) -> int:
        """Smallest size of the arrays: in float16 if it is requested or may be selected."""
        return self.count_bytes(4 if self.find_dtype(config) == "float32" else 2)

    def needed_bytes(self, config: FeaturesConfig, in_parts: bool) -> int:
        """Largest size of the arrays, with the float32 parts from which they are joined.

        With `dtype: auto` the activations may have to stay float32.
        """
        whole = self.count_bytes(2 if config.dtype == "float16" else 4)
        return whole + (self.count_bytes(4) if in_parts else 0)

    def write(
        self, folder: Path, blocks: Iterable[Mapping[str, np.ndarray]], dtype: str = "float32"
    ) -> None:
        """Write the arrays of an entry from consecutive blocks (examples, …) by name.

        Args:
            folder: Folder of the entry.
            blocks: Blocks whose floats have type `dtype`.
            dtype: Type of the floats.
        """
        types = {
            name: np.dtype(dtype) if each.kind == "f" else each
            for name, each in self.dtypes.items()
        }
        write_all_blocks(
            {_path(folder, name): (shape, types[name]) for name, shape in self.shapes.items()},
            ([block[name] for name in self.shapes] for block in blocks),
        )

    def remove(self, folder: Path) -> None:
        """Remove arrays that `write` left incomplete."""
        for name in self.shapes:
            _path(folder, name).unlink()

    def load(self, folder: Path) -> dict[str, np.ndarray]:
        """Load the arrays of an entry, memory-mapped."""
        arrays = {
            name: np.load(_path(folder, name), mmap_mode="r", allow_pickle=False)
            for name in self.shapes
        }
        assert {name: array.shape for name, array in arrays.items()} == dict(self.shapes)
        return arrays

    def of_examples(self, num_examples: int) -> Layout:
        """Layout of the same activations of another number of examples."""
        shapes = {
            name: (views, num_examples, *rest) for name, (views, _, *rest) in self.shapes.items()
        }
        return Layout(shapes, self.dtypes)


def find_layout(cut: Cut, *, num_examples: int, num_views: int) -> Layout:
    """Find the layout of the activations of `num_views` views of each example at a cut."""
    dtypes = {name: np.dtype(_as_computed(t.dtype)) for name, t in cut.crossing.items()}
    shapes = {name: (num_views, num_examples, *shape) for name, shape in cut.shapes.items()}
    return Layout(shapes, dtypes)


def _as_computed(dtype: str) -> str:
    """Type in which a forward pass returns a tensor; floats of any precision are float32."""
    return "float32" if "float" in dtype else dtype


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def limit_bytes(config: FeaturesConfig) -> int:
    """Size limit of the cache, in bytes."""
    return int(config.limit_gigabytes * 1e9)
