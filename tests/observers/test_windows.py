"""What a prediction can see: convolution and perceptron have a window, recurrences have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.observers import convolution, mlp, recurrent, state_space

VOCAB, LENGTH = 3, 24
FAMILIES = {
    "convolution": (convolution.make(VOCAB, LENGTH, depth=3, width=8), 8),
    "mlp": (mlp.make(VOCAB, LENGTH, depth=1, width=8, window=5), 5),
    "recurrent": (recurrent.make(VOCAB, LENGTH, depth=1, width=8), LENGTH),
    "state_space": (state_space.make(VOCAB, LENGTH, depth=1, width=8), LENGTH),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prediction_of_a_token_sees_the_tokens_of_its_window(name):
    """By gradient with respect to the embeddings: changing one token changes what follows it."""
    observer, window = FAMILIES[name]
    params = observer.init(jax.random.key(0))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [x + 0.5 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves)]
    params = jax.tree.unflatten(structure, noisy)
    predict = jax.jit(observer.logits)
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, VOCAB, (1, LENGTH)), jnp.int32)
    logits = np.asarray(predict(params, tokens))
    for place in (0, 3):
        changed = np.asarray(predict(params, tokens.at[0, place].set((tokens[0, place] + 1) % 3)))
        seen = np.flatnonzero(np.abs(changed - logits).max(-1)[0])
        expected = np.arange(place + 1, min(place + window, LENGTH - 1) + 1)
        if window < LENGTH:
            np.testing.assert_array_equal(seen, expected)
        else:
            assert set(range(place + 1, place + 6)) <= set(seen.tolist()) <= set(expected.tolist())


@pytest.mark.parametrize("name", FAMILIES)
def test_compute_is_that_of_the_products(name):
    """All weights are used once for each token, embeddings and gains apart."""
    observer, _ = FAMILIES[name]
    shapes = jax.eval_shape(observer.init, jax.random.key(0))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    weights = sum(leaf.size for path, leaf in flat if path[-1].key == "kernel")
    forward, update = observer.flops(LENGTH)
    assert forward == 2 * weights * LENGTH and update == 2 * forward
