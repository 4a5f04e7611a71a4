"""The generator of the README works as written, from a folder of its own."""

import re
from pathlib import Path

import jax

from epx.generators import eca
from epx.run import components
from tests.generators.test_contract import assert_legal, batch

README = Path(eca.__file__).with_name("README.md").read_text()


def test_the_palindrome_of_the_readme_is_a_generator(tmp_path, monkeypatch):
    code = re.search(r"`palindrome.py`.*?^```python\n(.*?)^```", README, re.S | re.M)[1]
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
    names = re.findall(r"^\| `(\w+)`", README, re.M)
    assert sorted(names) == components.names("generator")
