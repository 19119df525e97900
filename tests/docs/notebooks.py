"""Execution of a notebook of docs/; `python tests/docs/notebooks.py` renews its outputs.

Renewed outputs name no folder of the machine that made them, and no time.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"
SECONDS_A_CELL = 300


def execute(path: Path, place: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of an execution in an empty folder.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_A_CELL,
        record_timing=False,
        resources={"metadata": {"path": str(place)}},
    )
    client.execute()
    return notebook


def renew(path: Path) -> None:
    """Write the notebook with new outputs."""
    with tempfile.TemporaryDirectory() as place:
        # Caches of this user would show in what is said.
        os.environ["KFT_CACHE_DIR"] = f"{place}/caches"
        notebook = execute(path, Path(place))
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        for cell in notebook.cells:
            cell.metadata = {}
        text = nbformat.writes(notebook, indent=1).replace(place, "/home/you")
    path.write_text(json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    renew(TOUR)
