"""Print samples of a trained observer next to real examples.

    python -m experiments.train --config=life:tiny --workdir=runs/life
    python -m experiments.sample --record=runs/life
    python -m experiments.sample --record=runs/text --prompt=20 --examples=2 --weights=raw

A sample is a held-out example whose coded tokens are drawn again, each from all tokens before it.
Takes a few seconds.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx import files, streams
from epx.analysis.measurement import LN2
from epx.learning import nll, sampling
from epx.run import evaluation, trained
from epx.run.setup import Setup
from epx.types import PyTree, require
from experiments.cli import app, rendering, running

WIDTH = 56  # characters of a column

FLAGS = flags.FLAGS
flags.DEFINE_string("record", None, "folder of a record with a saved state")
flags.DEFINE_integer("examples", 4, "held-out examples", 1, 4096)
flags.DEFINE_integer("prompt", 0, "leading tokens that are given, as well as uncoded ones", 0)
flags.DEFINE_integer("member", 0, "member of the ensemble", lower_bound=0)
flags.DEFINE_integer("step", None, "steps of the saved state; none: the newest")
flags.DEFINE_integer("seed", 0, "seed of the samples", 0, 2**32 - 1)
flags.DEFINE_enum("weights", "ema", ["ema", "raw"], "averaged weights, or the last")


def main() -> int:
    """Print real and sampled examples in two columns; return the exit code."""
    if not FLAGS.record:
        app.fail("--record is missing: which folder holds the record?", 2)
    with app.config_errors():
        folder = files.folder("--record", FLAGS.record)
    running.prepare_host()
    with running.run_errors(), app.config_errors():
        found = trained.load(folder, FLAGS.member, FLAGS.step)
        setup = found.setup
        _check(setup)
    params = found.params(FLAGS.weights)
    index_B = jnp.arange(FLAGS.examples, dtype=jnp.uint32)
    real = evaluation.held_out_examples(found.generator, found.hyper, index_B)
    given_BxT = ~real.coded_T | (jnp.arange(setup.spec.length) < FLAGS.prompt)
    key = streams.stream(FLAGS.seed, "sample")
    keys_B = jax.vmap(lambda index: streams.example_key(key, index))(index_B)
    sampled_BxT = jax.jit(sampling.complete, static_argnums=0)(
        setup.observer, params, keys_B, real.tokens_T, given_BxT, real.side
    )
    member = ", ".join(f"{k}={v}" for k, v in setup.config["members"][FLAGS.member].items())
    legend = rendering.legend(np.asarray(~given_BxT), "sampled")
    print(f"{folder}: member {FLAGS.member} ({member}) after {found.step} steps; {legend}")
    versions = {"real": real.tokens_T, "sampled": sampled_BxT}
    bits = {k: _bits(setup, params, t, real.side, ~given_BxT) for k, t in versions.items()}
    for n in range(FLAGS.examples):
        columns = [
            [
                f"{name}, {bits[name][n]:.3f} bits a token",
                *rendering.lines(found.generator, tokens_BxT[n], ~given_BxT[n], WIDTH),
            ]
            for name, tokens_BxT in versions.items()
        ]
        print("\n" + rendering.side_by_side(*columns, WIDTH + 4))
    return 0


def _check(setup: Setup) -> None:
    """Refuse a prompt without a token to sample, or an observer that cannot sample."""
    last = setup.spec.length - 1
    accepted = f"0 to {last}, so that at least one token is sampled"
    require("--prompt", FLAGS.prompt, FLAGS.prompt <= last, accepted)
    can_sample = bool(setup.observer.start and setup.observer.step)
    accepted = "observers with start and step, which sampling needs"
    require("observer.name", setup.config["observer"]["name"], can_sample, accepted)


def _bits(
    setup: Setup, params: PyTree, tokens_BxT: jax.Array, side: PyTree, charged_BxT: jax.Array
) -> np.ndarray:
    """Mean bits per charged token of each example; 0 if no token is charged."""
    nats_BxT = nll.nats(setup.observer.logits(params, tokens_BxT, side), tokens_BxT)
    nats_B = nll.coded_sum(nats_BxT, charged_BxT, axis=1)
    return np.asarray(nats_B / jnp.maximum(charged_BxT.sum(1), 1)) / LN2


if __name__ == "__main__":
    app.launch(main, __doc__)
