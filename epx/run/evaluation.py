"""Held-out examples: the anchor that S and H rest on, and rulers to lay beside it. Endless worlds
evaluate on a stream of their own, finite ones on the examples that training never sees."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx.analysis.compressors import compressed_bits
from epx.learning import nll
from epx.streams import Batch, example_key, stream
from epx.types import Example, Generator, Hyper, Observer, State

# Examples on which a world's own law is asked: it can be costly, and it varies little.
ORACLE_EXAMPLES = 8


def charge(observer: Observer, batch: Batch, examples: int) -> Callable:
    """A function of one member, (generator, hyper, state) -> dict of arrays of shape E:
    `coded_tok`, and nats of the coded tokens under the last weights, `raw_nats`, and under their
    moving average, `ema_nats` (gradient learners only); of the requential code, whose weights are
    the student's, also `teacher_raw_nats` and `teacher_ema_nats`."""
    each = batch.microbatch * batch.shards
    padded = batch._replace(size=-(-examples // each) * each, examples=None)

    def evaluate(generator: Generator, hyper: Hyper, state: State):
        weights = {"raw": state.params} | ({} if observer.update else {"ema": state.ema})
        if state.teacher:
            weights |= {"teacher_raw": state.teacher.params, "teacher_ema": state.teacher.ema}

        def part(index_B):
            example = heldout(generator, hyper, index_B)
            out = {"coded_tok": example.coded_T.sum(1)}
            for name, params in weights.items():
                logits_BxTxV = observer.logits(params, example.tokens_T, example.side)
                nats_BxT = nll.nats(logits_BxTxV, example.tokens_T)
                out[f"{name}_nats"] = nll.coded_sum(nats_BxT, example.coded_T, axis=1)
            return out

        sums = lax.map(part, padded.indices(None, jnp.int32(0)))
        sums = jax.tree.map(lambda x: x.reshape(-1), sums)
        return jax.tree.map(lambda x: x[:examples], padded.gather(sums))

    return evaluate


def heldout(generator: Generator, hyper: Hyper, index_B: jax.Array) -> Example:
    """The held-out examples with these indices, counted from 0, with a leading axis B."""
    spec = generator.spec
    key = stream(hyper.seed, "eval")
    if spec.size is not None:
        index_B = spec.size + index_B % spec.held_out
    return jax.vmap(lambda i: generator.example(example_key(key, i), i))(index_B)


def baselines(generators: list[Generator], hypers: list[Hyper], examples: int) -> dict:
    """Rulers on the held-out tokens, arrays with a leading member axis: `gzip_bits`, `xz_bits` and
    `compressed_tok` of the coded tokens in order, and, where every member's law is known,
    `oracle_nats` and `oracle_tok` of the first few examples."""
    draw = jax.jit(lambda g, h: heldout(g, h, jnp.arange(examples, dtype=jnp.uint32)))

    def rulers(generator: Generator, hyper: Hyper) -> dict:
        batch = jax.device_get(draw(generator, hyper))
        coded = batch.tokens_T[batch.coded_T]
        sizes = compressed_bits(coded, generator.spec.vocab) | {"compressed_tok": coded.size}
        return sizes | oracle(generator, batch)

    with ThreadPoolExecutor() as pool:  # compressors work outside of Python's lock
        found = list(pool.map(rulers, generators, hypers))
    known = [name for name in found[0] if all(name in one for one in found)]
    return {name: np.stack([one[name] for one in found]) for name in known}


def oracle(generator: Generator, batch: Example) -> dict[str, np.ndarray]:
    """What the world's own law pays for the first ORACLE_EXAMPLES examples of a batch (with a
    leading axis): `oracle_nats` and `oracle_tok` of the coded tokens of each; empty where the law
    is not known."""
    if not hasattr(generator, "oracle_nats"):
        return {}
    nats, tok = [], []
    for n in range(min(ORACLE_EXAMPLES, len(batch.tokens_T))):
        example = jax.tree.map(lambda leaf, n=n: leaf[n], batch)
        nats_T = generator.oracle_nats(example)
        if nats_T is None:
            return {}
        nats.append(np.where(example.coded_T, np.asarray(nats_T, np.float64), 0.0).sum())
        tok.append(example.coded_T.sum())
    return {"oracle_nats": np.array(nats), "oracle_tok": np.array(tok)}
