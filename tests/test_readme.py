"""What the README shows is followed word for word."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def section(title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.S | re.M)[1]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def bash(title):
    """The commands of a section, without what is said beside them."""
    lines = "".join(blocks(section(title), "bash")).strip().splitlines()
    return [line.partition("  #")[0] for line in lines]


def command(line, cwd):
    """A line of the README that starts with python, run in another folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, *line.split()[1:]]
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_world_of_your_own(tmp_path):
    """A module outside the package, trained and reported without touching epx."""
    text = section("Add a world of your own")
    for block in blocks(text, "python"):
        name = re.match(r"# (\w+\.py)\n", block)[1]
        (tmp_path / name).write_text(block)
        assert len(block.splitlines()) <= 45
    _, train, report = blocks(text, "bash")[0].strip().splitlines()
    command(train, tmp_path)
    cells = json.loads(command(report + " --format=json", tmp_path))
    assert cells[0]["generator"] == "palindrome" and cells[0]["S_bits"][0] > 0
    assert cells[0]["oracle_bits_per_tok"] == [0, 0]


def test_the_commands_between(tmp_path, monkeypatch):
    """Trained, reported, shown and sampled as printed; left out is what needs a
    download, a package or a file of its own."""
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "cache"))
    titles = ("Train, report, resume", "Worlds, and looking at them")
    lines = [line for title in titles for line in bash(title)]
    ready = [line for line in lines if not re.search("gnubook|handbook|pip", line)]
    assert len(ready) == 5
    said = [command(line, tmp_path) for line in ready]
    assert "eca" in said[1] and (tmp_path / "runs" / "r30.png").exists()
    assert "example 1" in said[2] and "gnubook" in said[3] and "sampled" in said[4]


@pytest.mark.slow
def test_what_is_sent_arrives(tmp_path):
    """A file there and back, and the requential code."""
    (tmp_path / "README.md").write_text(README)
    there, back, *others = [line for line in bash("Every code") if "pip" not in line]
    assert "ledger" in command(there, tmp_path)
    command(back, tmp_path)
    assert (tmp_path / "README.back").read_text() == README
    assert "found all 32768 of them" in "".join(command(line, tmp_path) for line in others)


def test_five_lines_in_a_notebook(tmp_path):
    code = blocks(section("In a notebook"), "python")[0]
    assert len([line for line in code.splitlines() if not line.startswith(("from", "import"))]) <= 5
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Estimate(mean=" in done.stdout


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()
