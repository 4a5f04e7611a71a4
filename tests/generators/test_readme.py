"""The generator of the README works as written, and every shipped one is named."""

import re
from pathlib import Path

import jax

from epx.run.config import components
from tests.generators.test_contract import assert_legal, batch

ROOT = Path(__file__).parents[2]


def test_the_palindrome_of_the_readme_is_a_generator(tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"`palindrome.py`.*?^```python\n(.*?)^```", readme, re.S | re.M)[1]
    (tmp_path / "palindrome.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    generator = components.make(
        "generator", {"name": "palindrome", "half": 4}, key=jax.random.key(0)
    )
    examples = batch(generator, range(5))
    assert_legal(generator, examples)
    assert (examples.tokens_T == examples.tokens_T[:, ::-1]).all()
    assert generator.oracle_nats(examples).shape == (8,)


def test_the_readme_names_every_generator():
    readme = (ROOT / "epx" / "generators" / "README.md").read_text()
    names = re.findall(r"^\| `(\w+)`", readme, re.M)
    assert sorted(names) == components.names("generator")
