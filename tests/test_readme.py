"""What the READMEs show works as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = sorted(
    path
    for path in ROOT.rglob("README.md")
    if ".venv" not in path.parts and "runs" not in path.parts
)
README = (ROOT / "README.md").read_text()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def run(words, cwd):
    """A command of a README, run in another folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", READMES, ids=name)
def test_a_readme_is_short_and_its_links_lead_somewhere(path):
    text = path.read_text()
    assert len(text.splitlines()) <= (150 if path.parent == ROOT else 60)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link


def test_every_folder_of_the_library_has_a_line():
    text = (ROOT / "epx" / "README.md").read_text()
    for folder in (ROOT / "epx").iterdir():
        if (folder / "__init__.py").exists():
            assert f"{folder.name}/" in text, folder.name


def test_four_lines_of_python(tmp_path):
    code = blocks(README, "python")[0]
    lines = [line for line in code.splitlines() if line and not line.startswith("import")]
    assert len(lines) == 4
    assert "Estimate(mean=" in run(["-c", code], tmp_path)


def test_trained_reported_and_sampled_as_printed(tmp_path):
    lines = blocks(README, "bash")[2].strip().splitlines()
    _, report, sample = [run(line.split()[1:], tmp_path) for line in lines]
    assert "eca" in report and "sampled" in sample


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["experiments"])
def test_the_commands_of_a_folder(folder, tmp_path):
    text = (ROOT / folder / "README.md").read_text()
    for block in blocks(text, "bash"):
        for line in block.strip().splitlines():
            run(line.split()[1:], tmp_path)
