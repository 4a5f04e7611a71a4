"""Functions for notebooks: a generator, an observer, and a measurement of the two."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from epx import record, streams
from epx.analysis import ledger
from epx.analysis.measurement import Measurement
from epx.codes import prequential
from epx.learning import optim
from epx.run import provenance
from epx.run.config import components, contracts
from epx.run.config.observing import make_observer
from epx.run.loop import train
from epx.run.plan import Plan
from epx.run.references import Learners
from epx.run.setup import make_setup
from epx.types import Generator, Observer


def generator(name: str, seed: int = 0, **arguments: Any) -> Generator:
    """A generator by name; arguments that are not given have their defaults.

    Args:
      name: a module of `epx.generators`, or the import path of your own.
      seed: of the random draws of its `make`.
      **arguments: of its `make`.

    Raises:
      ValueError: an unknown name or argument, or a value that is not accepted.
    """
    section = {"name": name, **arguments}
    supplied = {"key": streams.stream(seed, "world"), "learner_of": Learners().of_seed(seed)}
    return components.make("generator", section, **supplied)


def observer(name: str, generator: Generator, dtype: str = "float32", **arguments: Any) -> Observer:
    """An observer by name, for the vocabulary and the length of a generator.

    Args:
      name: a module of `epx.observers`, or the import path of your own.
      generator: the observed generator.
      dtype: of its activations, `float32` or `bfloat16`.
      **arguments: of its `make`.

    Raises:
      ValueError: an unknown name or argument, or a value that is not accepted.
    """
    return make_observer({"name": name, **arguments}, generator, dtype)


def measure(
    generator: Generator | Callable[[jax.Array], Generator],
    observer: Observer,
    *,
    steps: int,
    batch: int,
    seeds: int = 4,
    lr: float = 0.03,
    workdir: Path | str | None = None,
    **plan: Any,
) -> Measurement:
    """Measure S and H of a generator for an observer by the prequential code.

    Where examples are repeated, S is the excess (EDL) of the first pass.

    Args:
      generator: a generator for all seeds, which differ in their examples if it is endless; or a
        function that makes one from a seed's key, such as `lambda key: text.make(key)`, which also
        gives each seed another order of a finite generator.
      observer: the learner, made for the generator's vocabulary and length.
      steps: optimiser steps.
      batch: examples in each step.
      seeds: number of members of the ensemble, over which the intervals are taken.
      lr: base learning rate.
      workdir: folder of the record, which is resumed if it exists; None keeps no record.
      **plan: further fields of `Plan`, such as `eval_examples`.

    Returns:
      The measurement, with properties such as `.structure_bits` and `.entropy_bits_per_tok`.

    Raises:
      ValueError: a value that is not accepted, before anything is compiled.
      RecordError, RunError: as `train`.
    """
    plan = Plan(steps=steps, batch=batch, **plan)
    hypers = [optim.make_hyper(seed, lr=lr) for seed in range(seeds)]
    keys = [streams.stream(seed, "world") for seed in range(seeds)]
    generators = [generator(key) if callable(generator) else generator for key in keys]
    contracts.check(generators[0], observer, {})
    example = generators[0].example
    described = {
        "generator": {"sha256": provenance.digest_function(example, jax.random.key(0), 0)},
        "observer": {"sha256": provenance.digest_observer(observer, generators[0].spec)},
        "optim": {"lr": lr},
        "run": dataclasses.asdict(plan) | {"seeds": seeds},
        "eval": {"test_tokens": plan.test_tokens},
    }
    setup = make_setup(generators, hypers, observer, prequential.make, plan, described)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in train(setup, workdir or scratch):
            pass
        done = record.load(workdir or scratch)
        return ledger.measure(done)
