"""The notebooks run from top to bottom: on the committed records, or else on a small one."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from epx.run import loop
from epx.run import setup as setups

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    if notebook.cells[1].source.startswith("records = "):
        config = tiny_config | {"observer": {"name": "counts"}}
        for _ in loop.train(setups.assemble(config), tmp_path / "records"):
            pass
        notebook.cells[1].source = f"records = {str(tmp_path)!r}"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": path.parent}}).execute()
    draws_there = any('"notebook.png"' in cell.source for cell in notebook.cells)
    assert (tmp_path / "notebook.png").exists() == draws_there
