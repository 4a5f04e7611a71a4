"""What a world looks like before anything is trained on it: decoded examples of the training
stream, and statistics of a sample of it."""

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.analysis import compressors
from epx.analysis.measurement import LN2
from epx.run import config as components
from epx.run import evaluation
from epx.types import Example, Generator
from experiments.cli import app, host, rendering

SAMPLE = 256


def world(reference: str, overrides: dict[str, str], count: int) -> int:
    """Prints a world, made as for training with the first seed of its config.

    Args:
      reference, overrides: as in `app.load`.
      count: examples to print.
    """
    host.prepare()
    with app.config_errors():
        config = app.load(reference, overrides)
        seed = config["run"]["seed"]
        key = streams.stream(seed, "world")
        generator = components.make("generator", config["generator"], key=key)
    spec = generator.spec
    drawn = SAMPLE if spec.size is None else min(SAMPLE, spec.size)
    batch = sample(generator, seed, drawn)
    marked = rendering.legend(batch.coded_T, "coded")
    print(f"{config['generator']['name']}: the first examples of seed {seed}; {marked}")
    for n in range(min(count, drawn)):
        lines = rendering.lines(generator, batch.tokens_T[n], batch.coded_T[n])
        print("\n".join([f"\nexample {n}", *lines]))
    print(f"\nof {drawn} examples of the training stream:")
    for name, value in statistics(generator, batch).items():
        print(f"  {name:30}{value}".rstrip())
    return 0


def sample(generator: Generator, seed: int, count: int) -> Example:
    """The first examples that training with this seed sees, on the host, with a leading axis."""
    key = streams.stream(seed, "train")
    draw = jax.vmap(lambda i: generator.example(streams.example_key(key, i), i))
    return jax.device_get(jax.jit(draw)(jnp.arange(count, dtype=jnp.uint32)))


def statistics(generator: Generator, batch: Example) -> dict[str, str]:
    """What one wants to know before training, by name, as text: sizes, and how many bits per coded
    token are left by simple predictors, by compressors and by the world's own law."""
    spec = generator.spec
    coded = batch.tokens_T[batch.coded_T]
    each = batch.coded_T.sum(1)
    varies = "" if each.min() == each.max() else f" on average, {each.min()} to {each.max()}"
    found = {
        "tokens per example": f"{spec.length}",
        "coded tokens per example": f"{each.mean():.4g}{varies}",
        "vocabulary": f"{spec.vocab}, of which {len(np.unique(batch.tokens_T))} occur, "
        f"{len(np.unique(coded))} among coded tokens",
        "examples": "endless"
        if spec.size is None
        else f"{spec.size} to train on, {spec.held_out} held out",
    }
    if (source_bytes := getattr(generator, "bytes_per_token", None)) is not None:
        found["source bytes per token"] = f"{source_bytes:.3f}"
    return found | _bits(generator, batch, coded)


def _bits(generator: Generator, batch: Example, coded: np.ndarray) -> dict[str, str]:
    """Rulers in bits per coded token."""
    sizes = compressors.compressed_bits(coded, generator.spec.vocab)
    law = evaluation.oracle(generator, batch)
    of_law = "not known"
    if law:
        per_token = law["oracle_nats"].sum() / law["oracle_tok"].sum() / LN2
        of_law = f"{per_token:.4f}, of the first {len(law['oracle_tok'])} examples"
    return {
        "bits per coded token": "",
        "  frequencies (order 0)": f"{entropy_bits(coded):.4f}",
        "  gzip": f"{sizes['gzip_bits'] / coded.size:.4f}",
        "  xz": f"{sizes['xz_bits'] / coded.size:.4f}",
        "  the world's own law": of_law,
    }


def entropy_bits(tokens: np.ndarray) -> float:
    """Bits per token of the frequencies of these tokens in themselves, the order-0 entropy; where
    the sample is small beside the vocabulary, that is too low."""
    counts = np.unique(tokens, return_counts=True)[1]
    return float(-(counts / tokens.size) @ np.log2(counts / tokens.size))
