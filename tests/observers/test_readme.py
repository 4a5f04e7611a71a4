"""The observer of the README works as written, from a folder of its own."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from epx.learning import nll
from epx.observers import counts
from epx.run.config import components

README = Path(counts.__file__).with_name("README.md").read_text()


def test_the_observer_of_the_readme_is_an_observer(tmp_path, monkeypatch):
    code = re.search(r"`my_observer.py`.*?^```python\n(.*?)^```", README, re.S | re.M)[1]
    (tmp_path / "my_observer.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    section = {"name": "my_observer", "width": 4}
    observer = components.make("observer", section, vocab=5, length=6, dtype="float32")
    params = observer.init(jax.random.key(0))
    tokens = jnp.array([[0, 1, 2, 3, 4, 0]], jnp.int32)

    def loss(params, tokens):
        return nll.nats(observer.logits(params, tokens, None), tokens).sum()

    step = jax.jit(jax.value_and_grad(loss))
    nats, gradient = step(params, tokens)
    np.testing.assert_allclose(nats, 6 * np.log(5), rtol=1e-6)
    rates = observer.scales(params)
    params = jax.tree.map(lambda leaf, rate, slope: leaf - rate * slope, params, rates, gradient)
    assert step(params, tokens)[0] < nats
    # No token sees itself or a later one, and later ones see it.
    predict = jax.jit(observer.logits)
    params = jax.tree.map(
        lambda leaf: leaf + jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params
    )
    logits, changed = (predict(params, x, None)[0] for x in (tokens, tokens.at[0, 3].set(1)))
    np.testing.assert_array_equal(logits[:4], changed[:4])
    assert (logits[4:] != changed[4:]).any()


def test_the_readme_names_every_observer():
    assert sorted(re.findall(r"^\| `(\w+)`", README, re.M)) == components.names("observer")
