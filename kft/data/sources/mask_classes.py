"""Names of the classes of masks."""

from __future__ import annotations

from pathlib import Path

from kft.config import MasksConfig
from kft.config.mask_section import MOST_CLASSES, NO_CLASS
from kft.config.section import compose
from kft.errors import DataError
from kft.printing import listed

# Files that list the classes in the order of their values, one per line.
_CLASS_FILES = ("classes.txt", "codes.txt", "labels.txt", "class_names.txt")


def find_class_names(settings: MasksConfig, root: Path) -> tuple[str, ...]:
    """Find the names of the classes, in the order of their values.

    Args:
        settings: The `data.masks` section.
        root: Folder of the data, which may hold a file with the names.

    Raises:
        DataError: Nothing names the classes, there are less than two, or the file is damaged.
    """
    names = settings.class_names or tuple(name for name in settings.colours if name != NO_CLASS)
    origin = "data.masks"
    if not names:
        path = next((root / name for name in _CLASS_FILES if (root / name).is_file()), None)
        if path is None:
            raise DataError(
                f"{root}: the classes of the masks have no names. Set "
                "data.masks.class_names=[sky, road, …] in the order of their values, or write them "
                f"to {root / _CLASS_FILES[0]}, one per line."
            )
        names, origin = _read(path), str(path)
    if settings.binary and len(names) != 2:
        raise DataError(
            f"{origin}: {len(names)} classes ({listed(names, 5)}), but data.masks.binary needs "
            "two: that of 0 and that of all other values."
        )
    if len(names) < 2:
        raise DataError(
            f"{origin}: one class, {names[0]!r}; masks need at least two, such as [other, "
            f"{names[0]}]."
        )
    return names


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    names = tuple(compose(line.strip()) for line in lines if line.strip())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names or len(names) > MOST_CLASSES:
        found = f"repeats {listed(repeated)}" if repeated else f"names {len(names)} classes"
        raise DataError(
            f"{path}: {found}. Expected 2 to {MOST_CLASSES} different names, one per line."
        )
    return names
