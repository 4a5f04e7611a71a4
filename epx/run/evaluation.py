"""Evaluation on held-out examples: the anchor of S and H, and its baselines.

Endless generators are evaluated on a separate stream, finite ones on examples not used in training.
"""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx.analysis import coverage, reservoir
from epx.analysis.compressors import compressed_bits
from epx.learning import nll
from epx.learning.batch import Batch
from epx.run.setup import Setup
from epx.streams import example_key, stream
from epx.types import Example, Generator, Hyper, Observer, Spec, State

# Examples on which the generator's law is evaluated; few, because it can be slow and varies little.
ORACLE_EXAMPLES = 8
# Tokens of the n-grams of a coverage: those that a law of order 2 gives probabilities.
NGRAM = 3
SELECTED = 512  # examples of which draws are counted


def make_evaluator(observer: Observer, batch: Batch, examples: int) -> Callable:
    """A function of one member, (generator, hyper, state) -> dict of arrays of shape E.

    The arrays are `coded_tok`; the nats of the coded tokens under the last weights, `raw_nats`, and
    under their average, `ema_nats` (gradient learners only); and `raw_hits` and `ema_hits`, the
    coded tokens that have the largest probability. Of a mixture also `part`, the number of the
    part of each example. With the requential code, whose learner is the
    student, also those of the teacher, `teacher_raw_nats` and so on.
    """
    at_once = batch.microbatch * batch.shards
    padded = batch._replace(size=-(-examples // at_once) * at_once, examples=None)

    def evaluate(generator: Generator, hyper: Hyper, state: State):
        weights = {"raw": state.learner.params}
        if not observer.update:
            weights["ema"] = state.learner.ema
        if state.teacher:
            weights |= {"teacher_raw": state.teacher.params, "teacher_ema": state.teacher.ema}

        def charge(index_B):
            example = held_out_examples(generator, hyper, index_B)
            sums = {"coded_tok": example.coded_T.sum(1, dtype=jnp.int32)}
            if example.part_P is not None:
                sums["part"] = example.part_P.argmax(1).astype(jnp.int32)
            for name, params in weights.items():
                logits_BxTxV = observer.logits(params, example.tokens_T, example.side)
                nats_BxT = nll.nats(logits_BxTxV, example.tokens_T)
                sums[f"{name}_nats"] = nll.coded_sum(nats_BxT, example.coded_T, axis=1)
                hits_BxT = example.coded_T & (logits_BxTxV.argmax(-1) == example.tokens_T)
                sums[f"{name}_hits"] = hits_BxT.sum(1, dtype=jnp.int32)
            return sums

        sums = lax.map(charge, padded.indices(None, jnp.int32(0)))
        sums = jax.tree.map(lambda x: x.reshape(-1), sums)
        return jax.tree.map(lambda x: x[:examples], padded.gather(sums))

    return evaluate


def held_out_examples(generator: Generator, hyper: Hyper, index_B: jax.Array) -> Example:
    """The held-out examples with these indices, counted from 0, with a leading axis B."""
    return _held_out(generator.example, generator.spec, hyper, index_B)


def _held_out(function: Callable, spec: Spec, hyper: Hyper, index_B: jax.Array) -> Any:
    """What a function of key and index gives for held-out examples, with a leading axis B."""
    key = stream(hyper.seed, "eval")
    if spec.size is not None:
        index_B = spec.size + index_B % spec.held_out
    return jax.vmap(lambda i: function(example_key(key, i), i))(index_B)


def baselines(setup: Setup) -> dict[str, np.ndarray]:
    """Baselines on the held-out tokens, arrays with a leading member axis.

    `gzip_bits`, `xz_bits` and `compressed_tok` of the coded tokens in order; `distinct_examples`
    and `distinct_contexts`, as in `distinct`; and, if the law of every member is known,
    `oracle_nats` and `oracle_tok` of the first ORACLE_EXAMPLES. With
    `eval.rulers` also `reservoir_bits` and `reservoir_floor_bits` of all tokens in order, and
    `compressors_seconds` and `reservoir_seconds`. With `eval.against` those of `compared`, and of a
    generator that selects its examples those of `selection`.
    """
    index_E = jnp.arange(setup.plan.eval_examples, dtype=jnp.uint32)
    draw = jax.jit(lambda generator, hyper: held_out_examples(generator, hyper, index_E))

    def of_member(index: int) -> dict:
        generator, hyper = setup.member(index)
        examples = jax.device_get(draw(generator, hyper))
        coded, vocab = examples.tokens_T[examples.coded_T], setup.spec.vocab
        started = time.perf_counter()
        sizes: dict[str, Any] = compressed_bits(coded, vocab) | {"compressed_tok": coded.size}
        compressed = time.perf_counter()
        sizes |= distinct(examples)
        if setup.plan.rulers:
            found = reservoir.score(examples.tokens_T.reshape(-1), vocab)
            sizes |= {
                "reservoir_bits": found.bits,
                "reservoir_floor_bits": found.floor_bits,
                "compressors_seconds": compressed - started,
                "reservoir_seconds": time.perf_counter() - compressed,
            }
        if setup.plan.against is not None:
            sizes |= compared(generator, examples, setup.plan.against)
        return sizes | selection(generator, hyper) | oracle(generator, examples)

    with ThreadPoolExecutor() as pool:  # compressors release Python's lock
        members = list(pool.map(of_member, range(setup.members)))
    names = [name for name in members[0] if all(name in member for member in members)]
    return {name: np.stack([member[name] for member in members]) for name in names}


def compared(generator: Generator, examples: Example, against: int) -> dict[str, float]:
    """How the examples of a mixture compare with those of one of its parts, the real ones.

    Args:
      generator: the mixture.
      examples: of it, with a leading axis E.
      against: number of the part.

    Returns:
      `support`, `tail` and `precision` in n-grams of NGRAM tokens (`coverage.Coverage`), of as many
      of the other examples as are real; and, if the law of the part is known, of the other examples
      `right`, the share that it allows, and `impossible`, the share of their coded tokens that it
      does not.
    """
    is_real_E = np.asarray(examples.part_P)[:, against]
    real_NxT = examples.tokens_T[is_real_E]
    others = jax.tree.map(lambda leaf: leaf[~is_real_E], examples)
    count = min(len(real_NxT), len(others.tokens_T))
    ngram = min(NGRAM, generator.spec.length)
    covered = coverage.of_ngrams(real_NxT[:count], others.tokens_T[:count], ngram)
    law = generator.parts[against]
    if not hasattr(law, "oracle_logits") or not count:
        return covered._asdict()
    side = others.side[..., : law.spec.side] if law.spec.side else None
    logits_ExTxV = jax.vmap(law.oracle_logits)(jnp.asarray(others.tokens_T), side)
    if logits_ExTxV is None:
        return covered._asdict()
    is_wrong_ExT = others.coded_T & ~np.asarray(nll.possible(logits_ExTxV, others.tokens_T))
    return covered._asdict() | {
        "right": float(1 - is_wrong_ExT.any(1).mean()),
        "impossible": float(is_wrong_ExT.sum() / others.coded_T.sum()),
    }


def selection(generator: Generator, hyper: Hyper) -> dict[str, float]:
    """How a generator, or a part of a mixture, selects its examples; empty if none does.

    Returns:
      `acceptance`, the share of the draws that is kept, and `forced`, the share of the examples of
      which no draw was kept, both of SELECTED held-out examples.
    """
    parts = [
        part for part in getattr(generator, "parts", (generator,)) if hasattr(part, "tries_of")
    ]
    if not parts:
        return {}
    index_E = jnp.arange(SELECTED, dtype=jnp.uint32)
    draws, kept = 0, 0
    for part in parts:
        draws_E, is_kept_E = _tries(part, generator.spec, hyper, index_E)
        draws, kept = draws + int(draws_E.sum()), kept + int(is_kept_E.sum())
    return {"acceptance": kept / draws, "forced": 1 - kept / (len(parts) * SELECTED)}


@functools.partial(jax.jit, static_argnums=1)
def _tries(part: Any, spec: Spec, hyper: Hyper, index_E: jax.Array) -> Any:
    return _held_out(part.tries_of, spec, hyper, index_E)


def distinct(examples: Example) -> dict[str, int]:
    """How many of the examples differ, and how many of their contexts.

    A context is what is not coded: tokens, and the vectors of side information.
    """
    contexts_ExT = np.where(examples.coded_T, -1, examples.tokens_T)

    def count(*arrays: np.ndarray | None) -> int:
        known = [array for array in arrays if array is not None]
        return len({b"".join(array[n].tobytes() for array in known) for n in range(len(known[0]))})

    return {
        "distinct_examples": count(examples.tokens_T, examples.side),
        "distinct_contexts": count(contexts_ExT, examples.side),
    }


def oracle(generator: Generator, examples: Example) -> dict[str, np.ndarray]:
    """The price of the first ORACLE_EXAMPLES examples under the generator's own law.

    Returns:
      `oracle_nats` and `oracle_tok` of the coded tokens of each; empty if the law is unknown.
    """
    if not hasattr(generator, "oracle_nats"):
        return {}
    nats, tok = [], []
    for n in range(min(ORACLE_EXAMPLES, len(examples.tokens_T))):
        example = jax.tree.map(lambda leaf, n=n: leaf[n], examples)
        nats_T = generator.oracle_nats(example)
        if nats_T is None:
            return {}
        nats.append(np.where(example.coded_T, np.asarray(nats_T, np.float64), 0.0).sum())
        tok.append(example.coded_T.sum())
    return {"oracle_nats": np.array(nats), "oracle_tok": np.array(tok)}
