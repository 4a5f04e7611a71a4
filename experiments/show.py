"""Show decoded examples and statistics of a generator, without training.

    python -m experiments.show eca:tiny --config.generator.rule=30 --examples=3
    python -m experiments.show eca:paper --floors --examples=0

It takes a config in the form of the --config of experiments.train, and uses its first seed.
--floors adds exact facts of an automaton or of Markov chains: what the best predictor could reach.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx import streams
from epx.analysis import compressors
from epx.analysis.exact import floors
from epx.analysis.measurement import LN2
from epx.report.rounding import rounded
from epx.run import evaluation
from epx.run.config import components
from epx.run.references import Learners
from epx.types import Example, Generator, require
from experiments.cli import app, configs, rendering, running

SAMPLE = 256  # examples for the statistics

FLAGS = flags.FLAGS
flags.DEFINE_integer("examples", 4, "examples to print", lower_bound=0)
flags.DEFINE_bool("floors", False, "also exact facts, of the generators eca and markov")


def main(words: list[str], overrides: dict[str, str]) -> int:
    """Show the generator of one config; return the exit code."""
    if len(words) != 1:
        shipped = ", ".join(configs.shipped())
        app.fail(f"show takes one config, such as eca:tiny; shipped are {shipped}", 2)
    return show(words[0], overrides, FLAGS.examples)


def show(reference: str, overrides: dict[str, str], count: int) -> int:
    """Print examples and statistics of a generator with its training stream.

    Args:
      reference, overrides: as in `configs.load`.
      count: examples to print.
    """
    running.prepare_host()
    with app.config_errors():
        config = configs.load(reference, overrides)
        seed = config["run"]["seed"]
        key = streams.stream(seed, "world")
        name = config["generator"]["name"]
        known = not FLAGS.floors or name in floors.GENERATORS
        require("--floors", name, known, "the generators " + " and ".join(floors.GENERATORS))
        learner_of = Learners().of_seed(seed)
        generator = components.make(
            "generator", config["generator"], key=key, learner_of=learner_of
        )
    size = generator.spec.size
    drawn = SAMPLE if size is None else min(SAMPLE, size)
    batch = sample(generator, seed, drawn)
    legend = rendering.legend(batch.coded_T, "coded")
    print(f"{config['generator']['name']}: the first examples of seed {seed}; {legend}")
    for n in range(min(count, drawn)):
        lines = rendering.lines(generator, batch.tokens_T[n], batch.coded_T[n])
        print("\n".join([f"\nexample {n}", *lines]))
    print(f"\nof {drawn} examples of the training stream:")
    for name, value in statistics(generator, batch).items():
        print(f"  {name:30}{value}".rstrip())
    if FLAGS.floors:
        print("\nof all examples, by enumeration or with a 95 % interval:")
        for name, fact in floors.of_generator(config["generator"]).items():
            print(f"  {name:30}{rounded(fact.value, 1.96 * fact.error)}")
    return 0


def sample(generator: Generator, seed: int, count: int) -> Example:
    """The first training examples of a seed, on the host, with a leading axis B."""
    key = streams.stream(seed, "train")
    draw = jax.vmap(lambda i: generator.example(streams.example_key(key, i), i))
    return jax.device_get(jax.jit(draw)(jnp.arange(count, dtype=jnp.uint32)))


def statistics(generator: Generator, batch: Example) -> dict[str, str]:
    """Statistics of a sample as text, by name.

    Sizes, and bits per coded token of simple predictors, compressors and the generator's own law.
    """
    spec = generator.spec
    coded = batch.tokens_T[batch.coded_T]
    coded_B = batch.coded_T.sum(1)
    least, most = coded_B.min(), coded_B.max()
    varies = "" if least == most else f" on average, {least} to {most}"
    rows = {
        "tokens per example": f"{spec.length}",
        "coded tokens per example": f"{coded_B.mean():.4g}{varies}",
        "vocabulary": f"{spec.vocab}, of which {len(np.unique(batch.tokens_T))} occur, "
        f"{len(np.unique(coded))} among coded tokens",
        "examples": "endless"
        if spec.size is None
        else f"{spec.size} to train on, {spec.held_out} held out",
    }
    if (source_bytes := getattr(generator, "bytes_per_token", None)) is not None:
        rows["source bytes per token"] = f"{source_bytes:.3f}"
    return rows | _bits(generator, batch, coded)


def _bits(generator: Generator, batch: Example, coded: np.ndarray) -> dict[str, str]:
    """Baselines in bits per coded token."""
    sizes = compressors.compressed_bits(coded, generator.spec.vocab)
    law = evaluation.oracle(generator, batch)
    oracle_bits = "unknown"
    if law:
        per_token = law["oracle_nats"].sum() / law["oracle_tok"].sum() / LN2
        oracle_bits = f"{per_token:.4f}, of the first {len(law['oracle_tok'])} examples"
    return {
        "bits per coded token": "",
        "  frequencies (order 0)": f"{entropy_bits(coded):.4f}",
        "  gzip": f"{sizes['gzip_bits'] / coded.size:.4f}",
        "  xz": f"{sizes['xz_bits'] / coded.size:.4f}",
        "  the generator's own law": oracle_bits,
    }


def entropy_bits(tokens: np.ndarray) -> float:
    """Order-0 entropy of tokens, in bits per token; biased low for few tokens."""
    counts = np.unique(tokens, return_counts=True)[1]
    return float(-(counts / tokens.size) @ np.log2(counts / tokens.size))


if __name__ == "__main__":
    app.launch(main, __doc__, takes_words=True)
