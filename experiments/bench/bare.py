"""A bare training step, as one would write it first: plain JAX, one device, one batch at once.

The same data, architecture, loss and optimiser as the transformer of a run, without its records,
ensembles and precautions; the section `bare` shows how much faster the step of a run is.
"""

import math
import time

import jax
import jax.numpy as jnp

from epx.learning import flops
from experiments.bench.workloads import Case, Prepared

HEAD_DIM = 64  # that of the transformer by default, or its width if that is less
B1, B2, EPS, RATE = 0.9, 0.95, 1e-8, 1e-3
STEPS = 4  # in a call


def prepared(case: Case) -> Prepared:
    """The step of a case of one member, compiled by `jax.jit`."""
    generator = case.generator
    params = init(jax.random.key(0), case, generator.spec.vocab)
    state = (params, *(jax.tree.map(jnp.zeros_like, params) for _ in range(2)), jnp.int32(0))

    def step(state, key):
        params, first, second, count = state
        keys = jax.random.split(jax.random.fold_in(key, count), case.batch)
        examples = jax.vmap(generator.example, in_axes=(0, None))(keys, count.astype(jnp.uint32))
        nats, grads = jax.value_and_grad(loss)(params, examples.tokens_T, examples.coded_T, case)
        first = jax.tree.map(lambda m, g: B1 * m + (1 - B1) * g, first, grads)
        second = jax.tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, second, grads)
        count = count + 1
        scale = RATE * jnp.sqrt(1 - B2**count) / (1 - B1**count)
        params = jax.tree.map(
            lambda p, m, v: p - scale * m / (jnp.sqrt(v) + EPS), params, first, second
        )
        return (params, first, second, count), nats

    began, key = time.perf_counter(), jax.random.key(1)
    program, held = jax.jit(step).lower(state, key).compile(), [state]
    compile_seconds, memory = time.perf_counter() - began, program.memory_analysis()

    def call():
        for _ in range(STEPS):
            held[0], nats = program(held[0], key)
        return nats

    return Prepared(
        call,
        STEPS * case.batch * case.length,
        STEPS * flops.step_flops(case.observer, case.length, case.batch),
        (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20,
        compile_seconds,
    )


def init(key: jax.Array, case: Case, vocab: int) -> dict:
    """Weights: tables of tokens and places, the layers, and the head."""
    width = case.width
    shapes = {
        "tokens": (vocab + 1, width), "places": (case.length, width), "head": (width, vocab),
        **{
            f"{name} {layer}": shape
            for layer in range(case.depth)
            for name, shape in {
                "qkv": (width, 3 * width), "out": (width, width),
                "up": (width, 4 * width), "down": (4 * width, width),
            }.items()
        },
    }  # fmt: skip
    return {
        name: jax.random.normal(jax.random.fold_in(key, n), shape) / math.sqrt(shape[0])
        for n, (name, shape) in enumerate(shapes.items())
    }


def loss(params: dict, tokens_BxT: jax.Array, coded_BxT: jax.Array, case: Case) -> jax.Array:
    """The mean price of the coded tokens, in nats."""
    vocab = params["head"].shape[1]
    before_BxT = jnp.pad(tokens_BxT[:, :-1], ((0, 0), (1, 0)), constant_values=vocab)
    x = params["tokens"][before_BxT] + params["places"]
    length = tokens_BxT.shape[1]
    causal_TxT = jnp.tril(jnp.ones((length, length), bool))
    head_dim = min(HEAD_DIM, case.width)
    for layer in range(case.depth):
        qkv = (_normed(x) @ params[f"qkv {layer}"]).reshape(*x.shape[:2], 3, -1, head_dim)
        q, k, v = (qkv[:, :, n] for n in range(3))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(head_dim)
        weights = jax.nn.softmax(jnp.where(causal_TxT, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)
        x = x + mixed @ params[f"out {layer}"]
        hidden = jax.nn.gelu(_normed(x) @ params[f"up {layer}"])
        x = x + hidden @ params[f"down {layer}"]
    log_p = jax.nn.log_softmax(_normed(x) @ params["head"])
    nats_BxT = -jnp.take_along_axis(log_p, tokens_BxT[..., None], axis=-1)[..., 0]
    return (nats_BxT * coded_BxT).sum() / coded_BxT.sum()


def _normed(x: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-6)


def sizes() -> list[Case]:
    """Lengths from 64 to 1024 at one width, and widths from 16 to 512 at one length."""
    by_length = [
        Case(length=length, batch=12_288 // length) for length in (64, 128, 256, 512, 1024)
    ]
    return [*by_length, *(Case(width=width) for width in (16, 32, 64, 256, 512))]
