"""What the READMEs show works as printed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from epx import record
from tests import binaries

ROOT = Path(__file__).parents[1]
READMES = sorted(
    path
    for path in ROOT.rglob("README.md")
    if ".venv" not in path.parts and "runs" not in path.parts
)
README = (ROOT / "README.md").read_text()
KEPT = ROOT / "notebooks" / "records" / "finite_data"
# What a reader writes into a file of that name.
MODULES = {
    "palindrome.py": ".",
    "palindrome_config.py": "epx/generators",
    "my_observer.py": "epx/observers",
}
# Minutes, or a network.
LONG = ("demo", "bench --json", "data prepare gnubook", "sweep --sweep", "measure")


def name(path):
    return str(path.relative_to(ROOT))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def commands(text):
    """The arguments of every `python -m experiments.BINARY` of a README, without comments."""
    code = "\n".join(blocks(text, "bash") + blocks(text, "text"))
    for line in re.findall(r"python -m experiments\.(.*)", code):
        yield shlex.split(re.split(r"   | &&", line)[0])


def parameters(found):
    """One parameter for each thing found in a README, named by its file."""
    return [
        pytest.param(thing, id=f"{name(path)}-{number}")
        for path in READMES
        for number, thing in enumerate(found(path.read_text()))
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the records that READMEs read."""
    shutil.copytree(KEPT, tmp_path / "runs" / "finite_data")
    shutil.copytree(KEPT, tmp_path / "notebooks" / "records" / "finite_data")
    shutil.copytree(record.find(KEPT)[0], tmp_path / "runs" / "demo" / "records" / "small")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    (tmp_path / "experiments" / "bench").mkdir(parents=True)
    shutil.copy(ROOT / "experiments" / "bench" / "reference.json", tmp_path / "experiments/bench")
    for module, readme in MODULES.items():
        text = (ROOT / readme / "README.md").read_text()
        code = re.search(rf"`{module}`.*?^```python\n(.*?)^```", text, re.S | re.M)[1]
        (tmp_path / module).write_text(code)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", READMES, ids=name)
def test_a_readme_is_short_and_its_links_lead_somewhere(path):
    text = path.read_text()
    assert len(text.splitlines()) <= (140 if path.parent == ROOT else 60)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link


def test_every_folder_of_the_library_has_a_line():
    text = (ROOT / "epx" / "README.md").read_text()
    for folder in (ROOT / "epx").iterdir():
        if (folder / "__init__.py").exists():
            assert f"{folder.name}/" in text, folder.name


@pytest.mark.parametrize("code", parameters(lambda text: blocks(text, "python")))
def test_python_runs_as_printed(code, folder, capsys):
    shutil.rmtree(folder / "notebooks")  # no record is overwritten
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert ("Estimate(mean=" in capsys.readouterr().out) == ("measured." in code)


def test_a_measurement_takes_four_lines():
    code = blocks(README, "python")[0]
    lines = [line for line in code.splitlines() if line and not line.startswith("import")]
    assert len(lines) == 4


@pytest.mark.parametrize("words", parameters(commands))
def test_a_command_has_the_flags_and_keys_that_are_printed(words, folder):
    done = binaries.run(*words, "--help", path=folder)
    assert done.code == 0, done.err


def test_trained_reported_and_sampled_as_printed(folder):
    printed = [words for words in commands(README) if words[0] not in LONG]
    done = [binaries.run(*words, path=folder) for words in printed]
    assert [d.code for d in done] == [0, 0, 0, 0], done
    assert "eca" in done[1].out and "sampled" in done[2].out


def run(words, folder):
    """A command of a README, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"}
    command = [sys.executable, "-m", f"experiments.{words[0]}", *words[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr


OTHERS = [path for path in READMES if path.parent != ROOT and [*commands(path.read_text())]]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", OTHERS, ids=name)
def test_commands_run_as_printed(path, folder):
    for words in commands(path.read_text()):
        if not " ".join(words).startswith(LONG):
            run(words, folder)
