"""The notebooks run from top to bottom on a small record."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from epx.run import loop
from epx.run import setup as setups

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_a_small_record(path, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    config = tiny_config | {"observer": {"name": "counts"}}
    for _ in loop.train(setups.assemble(config), tmp_path / "records"):
        pass
    notebook = nbformat.read(path, as_version=4)
    source = notebook.cells[1].source
    assert source.startswith("records = ")
    notebook.cells[1].source = f"records = {str(tmp_path)!r}"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "notebook.png").exists()
    assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)
