"""Truths of the transformer: size, compute, scales, causality, and a forward pass by hand."""

from math import erf

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from epx.observers import looped, transformer
from epx.observers.layers import basic

# Table G.1 of the specification: all parameters at V = 2, T = 128, by depth and width.
WIDTHS = (16, 32, 64, 128, 256, 512)
SIZES = {
    1: (5_264, 16_672, 57_920, 214_016, 821_120, 3_214_976),
    2: (8_400, 29_088, 107_328, 411_008, 1_608_192, 6_361_856),
    4: (14_672, 53_920, 206_144, 804_992, 3_182_336, 12_655_616),
    6: (20_944, 78_752, 304_960, 1_198_976, 4_756_480, 18_949_376),
    9: (30_352, 116_000, 453_184, 1_789_952, 7_117_696, 28_390_016),
}


def randomised(observer, seed=0):
    """Every parameter away from its initial value, zeros and ones included."""
    rng = np.random.default_rng(seed)
    params = jax.jit(observer.init)(jax.random.key(seed))

    def noisy(leaf):
        spread = leaf.shape[0] ** -0.5 if leaf.ndim == 2 else 0.3
        return leaf + jnp.asarray(rng.normal(0, spread, leaf.shape), leaf.dtype)

    return jax.tree.map(noisy, params)


def predict(observer, params, tokens):
    return jax.jit(observer.logits)(params, tokens, None)


def random_tokens(shape, vocab, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, vocab, shape), jnp.int32)


def layer_norm(x, gain):
    x = x - x.mean()
    return x / np.sqrt((x * x).mean() + 1e-5) * gain


ACTIVATIONS = {
    "relu": lambda x: max(x, 0.0),
    "gelu_erf": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
}


def forward_float64(params, tokens_T, depth, head_dim, activation):
    """One example, position by position and head by head, by the words of section B.7."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    T, D = len(tokens_T), params["positions"].shape[1]
    x = [params["positions"][t].copy() for t in range(T)]
    for t in range(1, T):
        x[t] += params["embedding"][tokens_T[t - 1]]
    for i in range(depth):
        p = params[f"layer_{i}"]
        fused = [
            layer_norm(x[t], p["norm_attention"]["scale"]) @ p["qkv"]["kernel"] for t in range(T)
        ]
        mixed = np.zeros((T, D))
        for head in range(D // head_dim):
            q, k, v = np.split(np.array(fused).reshape(T, -1, 3 * head_dim)[:, head], 3, axis=-1)
            q = [layer_norm(row, p["norm_queries"]["scale"]) for row in q]
            k = [layer_norm(row, p["norm_keys"]["scale"]) * 8 / np.sqrt(head_dim) for row in k]
            for t in range(T):
                scores = np.array([q[t] @ k[s] / np.sqrt(head_dim) for s in range(t + 1)])
                weights = np.exp(scores - scores.max())
                mixed[t, head * head_dim : (head + 1) * head_dim] = weights @ v[: t + 1]
                mixed[t, head * head_dim : (head + 1) * head_dim] /= weights.sum()
        for t in range(T):
            x[t] += mixed[t] @ p["out"]["kernel"] / depth
            hidden = layer_norm(x[t], p["norm_mlp"]["scale"]) @ p["up"]["kernel"]
            hidden = np.array([ACTIVATIONS[activation](value) for value in hidden])
            x[t] += hidden @ p["down"]["kernel"] / depth
    head = params["head"]["kernel"]
    return np.array([layer_norm(x[t], params["norm"]["scale"]) @ head for t in range(T)])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_equal_a_forward_pass_by_hand(activation):
    arguments = {"depth": 3, "head_dim": 4, "activation": activation}
    observer = transformer.make(5, 9, width=12, **arguments)
    params, tokens = randomised(observer), random_tokens((2, 9), 5)
    logits = predict(observer, params, tokens)
    expected = [forward_float64(params, row, **arguments) for row in tokens.tolist()]
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("depth", SIZES)
def test_number_of_parameters_is_that_of_the_paper(depth):
    for width, expected in zip(WIDTHS, SIZES[depth]):
        observer = transformer.make(2, 128, depth=depth, width=width)
        shapes = jax.tree.leaves(jax.eval_shape(observer.init, jax.random.key(0)))
        assert sum(leaf.size for leaf in shapes) == expected


def test_initial_values():
    observer = transformer.make(50, 40, depth=2, width=64, head_dim=32)
    params = jax.jit(observer.init)(jax.random.key(0))
    assert np.std(params["embedding"]) == pytest.approx(0.02, rel=0.05)
    assert np.std(params["positions"]) == pytest.approx(0.02, rel=0.05)
    for layer in (params["layer_0"], params["layer_1"]):
        for name in ("qkv", "up"):
            assert np.std(layer[name]["kernel"]) == pytest.approx(64**-0.5, rel=0.05)
        assert not np.any(layer["out"]["kernel"]) and not np.any(layer["down"]["kernel"])
        assert layer["norm_queries"]["scale"].shape == (32,)
    assert not np.any(params["head"]["kernel"])


def test_scales():
    observer = transformer.make(5, 9, depth=2, width=16)
    scales = observer.scales(jax.eval_shape(observer.init, jax.random.key(0)))
    layer = scales["layer_1"]
    assert scales["embedding"] == scales["positions"] == scales["norm"]["scale"]
    assert scales["embedding"] == layer["norm_keys"]["scale"] == pytest.approx(0.02)
    for matrix in (scales["head"], layer["qkv"], layer["out"], layer["up"]):
        assert matrix["kernel"] == 1 / 16
    assert layer["down"]["kernel"] == 1 / 64


def dot_flops(jaxpr):
    """2 x multiplications of every dot_general in a jaxpr, nested ones included."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            lengths = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += 2 * equation.outvars[0].aval.size * int(np.prod(lengths))
        total += sum(dot_flops(inner) for inner in jaxprs_in_params(equation.params))
    return total


@pytest.mark.parametrize("depth, width, head_dim", [(1, 16, 64), (3, 24, 8)])
def test_compute_is_that_of_the_compiled_products(depth, width, head_dim):
    V, T = 7, 10
    observer = transformer.make(V, T, depth=depth, width=width, head_dim=head_dim)
    params = jax.eval_shape(observer.init, jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((1, T), jnp.int32)
    counted = dot_flops(jax.make_jaxpr(observer.logits)(params, tokens).jaxpr)
    forward, update = observer.flops(T)
    assert forward == counted
    per_token = 6 * (12 * depth * width**2 + V * width) + 12 * depth * width * T
    assert forward + update == per_token * T


def test_no_gradient_flows_from_a_token_to_itself_or_before():
    """Token t is the number t, so that row s of the embedding enters only where token s does."""
    T = 8
    observer = transformer.make(T, T, depth=2, width=8, head_dim=4)
    params, tokens = randomised(observer), jnp.arange(T, dtype=jnp.int32)[None]

    def logits(embedding):
        return observer.logits({**params, "embedding": embedding}, tokens, None)[0]

    slopes = jax.jit(jax.jacobian(logits))(params["embedding"])
    slopes = np.abs(slopes).sum((1, 3))  # logits t by token s
    np.testing.assert_array_equal(slopes > 0, np.tri(T, k=-1, dtype=bool))


@pytest.mark.slow
def test_bfloat16_is_close_and_keeps_float32_where_it_counts():
    arguments = {"vocab": 5, "length": 16, "depth": 2, "width": 32, "head_dim": 16}
    full, half = (transformer.make(**arguments, dtype=d) for d in ("float32", "bfloat16"))
    params, tokens = randomised(full), random_tokens((4, 16), 5)
    exact, close = (predict(observer, params, tokens) for observer in (full, half))
    assert close.dtype == jnp.float32
    assert 0 < np.abs(close - exact).max() < 0.05 * np.abs(exact).max()
    leaves = jax.tree.leaves(half.init(jax.random.key(0)))
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    cache = half.start(params, jnp.zeros((4, 0), jnp.int32))
    cache, logits = half.step(params, cache, tokens[:, 0], None)
    assert cache.layers[0][0].dtype == jnp.bfloat16 and logits.dtype == jnp.float32


def test_a_shorter_example_is_predicted_like_the_beginning_of_a_longer_one():
    observer = transformer.make(5, 12, depth=1, width=8)
    params, tokens = randomised(observer), random_tokens((2, 12), 5)
    whole, start = (predict(observer, params, tokens[:, :n]) for n in (12, 7))
    np.testing.assert_allclose(start, whole[:, :7], atol=1e-5)
    with pytest.raises(ValueError, match="length=13: accepted at most 12"):
        observer.logits(params, random_tokens((2, 13), 5), None)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"depth": 0}, "observer.depth=0: accepted whole numbers from 1"),
        ({"depth": 2**31}, "observer.depth=2147483648: accepted whole numbers from 1 to 256"),
        ({"width": 2**31}, "observer.width=2147483648: accepted whole numbers from 1 to 65536"),
        ({"width": 2**16}, "observer.width=65536: accepted models of at most 1,073,741,824 param"),
        ({"vocab": 2**30}, "observer.width=32: accepted models of at most"),
        ({"length": 2**20}, "length=1048576: accepted examples whose attention holds at most"),
        ({"head_dim": 2**31}, "observer.head_dim=2147483648: accepted whole numbers from 1"),
        ({"width": 12, "head_dim": 8}, "observer.head_dim=8: accepted divisors of width=12"),
        ({"activation": "gelu"}, "observer.activation='gelu': accepted gelu_erf, gelu_tanh, relu"),
        ({"dtype": "float16"}, "observer.dtype='float16': accepted float32, bfloat16"),
    ],
)
def test_transformer_refuses_illegal_arguments(wrong, message):
    with pytest.raises(ValueError) as error:
        transformer.make(**{"vocab": 5, "length": 12} | wrong)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_product_has_the_gradients_that_jax_finds(dtype, batched):
    """Its own rule against the derivative of `x @ kernel`, alone and under vmap."""
    shapes = (3, 7, 5), (3, 5, 4), (3, 7, 4)
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel, weight = (jax.random.normal(k, s, dtype) for k, s in zip(keys, shapes))

    def gradients(multiply):
        def loss(x, kernel, weight):
            return (multiply(x, kernel) * weight).astype(jnp.float32).sum()

        if batched:
            return jax.vmap(jax.grad(loss, argnums=(0, 1)))(x, kernel, weight)
        return jax.grad(loss, argnums=(0, 1))(x[0], kernel[0], weight[0])

    for gradient, expected in zip(gradients(basic.product), gradients(jnp.matmul)):
        assert gradient.dtype == expected.dtype == dtype
        np.testing.assert_allclose(
            gradient.astype(jnp.float32), expected.astype(jnp.float32), rtol=1e-6, atol=1e-6
        )


def test_a_looped_transformer_is_a_deep_one_with_equal_layers():
    """The weights of one layer in each of three, and the logits of both; the compute of three."""
    tied = looped.make(5, 12, depth=1, loops=3, width=16, head_dim=8)
    deep = transformer.make(5, 12, depth=3, width=16, head_dim=8)
    params = randomised(tied)
    copied = params | {f"layer_{n}": params["layer_0"] for n in range(3)}
    tokens = random_tokens((2, 12), 5)
    np.testing.assert_array_equal(predict(tied, params, tokens), predict(deep, copied, tokens))
    assert tied.flops(12) == deep.flops(12)
    single = transformer.make(5, 12, depth=1, width=16, head_dim=8)
    shapes = [jax.tree.map(jnp.shape, o.init(jax.random.key(0))) for o in (tied, single)]
    assert shapes[0] == shapes[1]
