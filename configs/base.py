"""All keys of a config, with their units and meanings.

Except for `name`, the keys of `generator`, `observer` and `code` are the arguments of their
`make`; a new name resets them to its defaults. A config file defines `get_config(size)`, with the
sizes

    tiny    a complete run, about 10 s on 2 cores
    cpu     one to two minutes on 2 cores; the default
    paper   the published scale, for a GPU

    python -m experiments.train --config=life:tiny --workdir=runs/life
"""

from collections.abc import Sequence

from ml_collections import ConfigDict, config_dict

SECTIONS = (
    "generator", "observer", "adapter", "code", "policy", "optim", "run", "eval", "checkpoint"
)  # fmt: skip
SIZES = ("tiny", "cpu", "paper")

MEANING = {
    "generator.name": "a module of epx.generators, or the import path of your own",
    "observer.name": "learner: a module of epx.observers, or the import path of your own",
    "adapter.rank": "freeze the observer and learn matrices of this rank beside it; none: do not",
    "adapter.alpha": "the matrices of an adapter are scaled by alpha / (2 rank)",
    "adapter.entries": "numbers of the adapter that learn, chosen at random; none: all",
    "code.name": "how bits are charged: a module of epx.codes, or the import path of your own",
    "policy.name": "changes the weights of a mixture between chunks: a module of epx.policies",
    "optim.lr": "base learning rate; a matrix learns at lr / fan-in (muP)",
    "optim.warmup_steps": "steps of linear warm-up, after which the rate is constant",
    "optim.b1": "Adam's decay of the first moment",
    "optim.b2": "Adam's decay of the second moment",
    "optim.eps": "Adam's denominator",
    "optim.clip_norm": "largest global norm of a gradient (nats per coded token)",
    "optim.ema_steps": "time constant of the averaged weights, in steps",
    "run.seed": "seed of the first member",
    "run.seeds": "number of members, with consecutive seeds",
    "run.steps": "optimiser steps",
    "run.batch": "examples in a step, over all devices",
    "run.microbatch": "examples at once on a device; none: what fits a core's cache, or all",
    "run.chunk": "steps in one compiled chunk; rows are written after each",
    "run.parallel": "jit or pmap",
    "run.devices": "number of devices; none: as many as should take the least time",
    "run.dtype": "float32 or bfloat16, of the observer's activations",
    "run.repeats": "allowed passes over a finite corpus, or over run.examples",
    "run.examples": "train only on this many first examples, cycling through them; none: all",
    "run.turns": "as many equal blocks of run.examples are read in turn, an example of each",
    "run.start": "start from the weights of RECORD or RECORD:STEP, seed by seed; none: anew",
    "run.start_keeps": "all of them, or the body: what does not depend on vocabulary and length",
    "run.distributed": "one of several processes of this run, on one machine or many",
    "run.require_accelerator": "refuse to run on a CPU",
    "eval.every": "steps between evaluations, a multiple of run.chunk; none: only at the end",
    "eval.examples": "held-out examples for the anchor",
    "eval.test_tokens": "size of the coded set in coded tokens; none: as many as trained on",
    "eval.rulers": "also the reservoir score of the held-out tokens, and the seconds of all rulers",
    "eval.against": "part of a mixture, from 0, that the others are compared with; none: no part",
    "checkpoint.every": "steps between saved states, a multiple of run.chunk; none: only at end",
    "checkpoint.keep": "number of newest saved states to keep; none: all",
}


class SizeError(ValueError):
    """A size that is not in SIZES."""


def require_size(size: str, sizes: Sequence[str] = SIZES) -> None:
    """Raise a SizeError for a size that a config does not have."""
    if size not in sizes:
        raise SizeError(f"size={size!r}: accepted {', '.join(sizes)}")


def get_config(size: str = "cpu") -> ConfigDict:
    """The default config, from which a config file starts.

    Raises:
      SizeError: the size is not in SIZES.
    """
    require_size(size)
    config = ConfigDict()
    config.generator = ConfigDict({"name": ""})
    config.observer = ConfigDict({"name": "transformer"})
    config.adapter = ConfigDict(
        dict(rank=config_dict.placeholder(int), alpha=32.0, entries=config_dict.placeholder(int))
    )
    config.code = ConfigDict({"name": "prequential"})
    config.policy = ConfigDict({"name": "fixed"})
    config.optim = ConfigDict(
        dict(lr=0.03, warmup_steps=50, b1=0.9, b2=0.95, eps=1e-20, clip_norm=1.0, ema_steps=50)
    )
    config.run = ConfigDict(
        dict(
            seed=0,
            seeds={"tiny": 2, "cpu": 4, "paper": 5}[size],
            steps={"tiny": 200, "cpu": 1000, "paper": 10_000}[size],
            batch={"tiny": 16, "cpu": 64, "paper": 1536}[size],
            microbatch=config_dict.placeholder(int),
            chunk=50,
            parallel="jit",
            devices=config_dict.placeholder(int),
            dtype="float32",
            repeats=1,
            examples=config_dict.placeholder(int),
            turns=1,
            start=config_dict.placeholder(str),
            start_keeps="all",
            distributed=False,
            require_accelerator=False,
        )
    )
    config.eval = ConfigDict(
        dict(
            every=config_dict.placeholder(int),
            examples={"tiny": 256, "cpu": 2048, "paper": 16_384}[size],
            test_tokens=config_dict.placeholder(float),
            rulers=False,
            against=config_dict.placeholder(int),
        )
    )
    config.checkpoint = ConfigDict(
        dict(
            every={"tiny": 200, "cpu": 500, "paper": 1000}[size], keep=config_dict.placeholder(int)
        )
    )
    if size == "paper":
        config.checkpoint.keep = 2  # its states are large
    return config
