"""What a trained observer generates, beside the real thing: held-out examples whose coded tokens
are sampled again, each given all the tokens before it. A sample is as long as the real example.

    python -m experiments.train --config=life:tiny --workdir=runs/life
    python -m experiments.sample --record=runs/life
    python -m experiments.sample --record=runs/text --prompt=20 --examples=2 --weights=raw

Takes a few seconds.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx import record, streams
from epx.analysis.measurement import LN2
from epx.learning import nll, sampling
from epx.run import checkpoint, evaluation, provenance
from epx.run.plan import Setup, stack
from epx.sweeps import grid
from epx.types import PyTree, State
from experiments.cli import app, ensembles, host, rendering

WIDTH = 56  # characters of a column

FLAGS = flags.FLAGS
flags.DEFINE_string("record", None, "folder of a record that has a saved state")
flags.DEFINE_integer("examples", 4, "held-out examples", lower_bound=1)
flags.DEFINE_integer("prompt", 0, "leading tokens that are given, beside those not coded", 0)
flags.DEFINE_integer("member", 0, "member of the ensemble", lower_bound=0)
flags.DEFINE_integer("step", None, "steps after which the state was saved; none: the newest")
flags.DEFINE_integer("seed", 0, "of what is drawn", lower_bound=0)
flags.DEFINE_enum("weights", "ema", ["ema", "raw"], "averaged weights, or the last")


def main() -> int:
    """Prints real and sampled examples in two columns; returns the exit code."""
    if not FLAGS.record:
        app.fail("--record is missing: which folder holds the record?", 2)
    host.prepare()
    folder = Path(FLAGS.record)
    with ensembles.run_errors(), app.config_errors():
        setup = _setup(record.load(folder))
        step, state = _state(setup, folder)
    params = state.params if setup.observer.update or FLAGS.weights == "raw" else state.ema
    generator, hyper = setup.generators[FLAGS.member], setup.hypers[FLAGS.member]
    real = evaluation.heldout(generator, hyper, jnp.arange(FLAGS.examples, dtype=jnp.uint32))
    given_BxT = ~real.coded_T | (jnp.arange(generator.spec.length) < FLAGS.prompt)
    key, index_B = streams.stream(FLAGS.seed, "sample"), jnp.arange(FLAGS.examples)
    keys_B = jax.vmap(lambda index: streams.example_key(key, index))(index_B)
    drawn_BxT = jax.jit(sampling.complete, static_argnums=0)(
        setup.observer, params, keys_B, real.tokens_T, given_BxT, real.side
    )
    member = ", ".join(f"{k}={v}" for k, v in setup.config["members"][FLAGS.member].items())
    legend = rendering.legend(np.asarray(~given_BxT), "sampled")
    print(f"{folder}: member {FLAGS.member} ({member}) after {step} steps; {legend}")
    versions = {"real": real.tokens_T, "sampled": drawn_BxT}
    bits = {k: _bits(setup, params, t, real.side, ~given_BxT) for k, t in versions.items()}
    for n in range(FLAGS.examples):
        columns = [
            [
                f"{name}, {bits[name][n]:.3f} bits a token",
                *rendering.lines(generator, tokens_BxT[n], ~given_BxT[n], WIDTH),
            ]
            for name, tokens_BxT in versions.items()
        ]
        print("\n" + rendering.side_by_side(*columns, WIDTH + 4))
    return 0


def _setup(found: record.Record) -> Setup:
    """The run of a record, as it was assembled.

    Raises:
      RecordError: it was not made from a config, or its world is no longer the same.
      ValueError: no such member, no token left to sample, or an observer that cannot be sampled
        from.
    """
    config = dict(found.config)
    facts, members = config.pop("facts"), config.pop("members", None)
    if members is None:
        raise record.RecordError(f"{found.path} was made by measure(): only its program knows how")
    if FLAGS.member >= len(members):
        raise ValueError(f"--member={FLAGS.member}: 0 to {len(members) - 1}")
    # Where it was trained does not matter here.
    config["run"] = config["run"] | {"require_accelerator": False, "devices": None}
    setup = grid.assemble(config, members)
    length = setup.generators[0].spec.length
    if FLAGS.prompt >= length:
        raise ValueError(
            f"--prompt={FLAGS.prompt}: 0 to {length - 1}, so that one is left to sample"
        )
    if not (setup.observer.start and setup.observer.step):
        name = config["observer"]["name"]
        raise ValueError(f"observer.name={name}: has no start and step, which sampling needs")
    changed = record.difference(facts, provenance.facts(setup, stack(setup.generators)))
    if changed:
        raise record.RecordError(
            f"{found.path}: its world or observer is not what it was trained on: {changed}"
        )
    return setup


def _state(setup: Setup, folder: Path) -> tuple[int, State]:
    """The saved state of the chosen member and step.

    Raises:
      RecordError: there is none, or it is damaged.
      ValueError: there is none of this step.
    """
    steps = checkpoint.steps(folder / "ckpt")
    if not steps:
        raise record.RecordError(f"{folder} has no saved state to sample from")
    step = steps[-1] if FLAGS.step is None else FLAGS.step
    if step not in steps:
        raise ValueError(f"--step={step}: states are saved after {steps} steps")
    batch = setup.plan.batch
    code = setup.code(setup.observer, streams.Batch(batch, batch, examples=setup.plan.examples))
    shapes = jax.eval_shape(jax.vmap(code.init), stack(setup.hypers))
    state = checkpoint.read(folder / "ckpt", step, shapes)
    return step, jax.tree.map(lambda leaf: leaf[FLAGS.member], state)


def _bits(
    setup: Setup, params: PyTree, tokens_BxT: jax.Array, side: PyTree, charged_BxT: jax.Array
) -> np.ndarray:
    """Mean bits that the observer pays for the charged tokens of each example; 0 for none."""
    nats_BxT = nll.nats(setup.observer.logits(params, tokens_BxT, side), tokens_BxT)
    nats_B = nll.coded_sum(nats_BxT, charged_BxT, axis=1)
    return np.asarray(nats_B / jnp.maximum(charged_BxT.sum(1), 1)) / LN2


if __name__ == "__main__":
    app.launch(main, __doc__)
