"""The setup of a run: everything it needs, resolved once from a config.

Every ValueError is raised here, before anything is compiled.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.learning import optim
from epx.learning.batch import Batch
from epx.observers import adapter
from epx.run import memory, start
from epx.run.config import components, contracts
from epx.run.config import keys as run_config
from epx.run.config.keys import Config, Overrides
from epx.run.config.observing import make_observer
from epx.run.devices import AXIS, Layout, largest_divisor, make_layout
from epx.run.plan import MOST_MEMBERS, Plan, make_plan
from epx.run.references import NOWHERE, Learners, Place
from epx.types import (
    Code,
    Generator,
    Hyper,
    Observer,
    Policy,
    PyTree,
    Spec,
    State,
    refusal,
    require,
)

DTYPES = ("float32", "bfloat16")
# Tokens that a core processes at once, so that the activations of a layer fit its cache. Best of
# 64 to 12288 at widths 64 to 512, and within a sixth of the best at width 16; measured in
# notebooks/02_bench_studies.ipynb.
CORE_TOKENS = 256
# Examples that a core samples in parallel, token by token.
DECODED = 16


class Setup(NamedTuple):
    """Everything a run needs.

    Attributes:
      config: kept in the record: every key, and the overrides of the members.
      spec: of every member's generator.
      generator, hyper: of all members, stacked: arrays have a leading member axis M.
      observer, code: shared by the members.
      batch: division of the examples of a step.
      layout: division of members and batches over devices.
      plan: steps, evaluations and checkpoints.
      policy: changes the generator between two chunks; None leaves it.
      start: weights of another run, stacked, from which members start; None for new ones.
      facts: of that start.
      planned: whether new weights stand in for those of a record that is still to be made; it
        cannot be run.
    """

    config: dict[str, Any]
    spec: Spec
    generator: Generator
    hyper: Hyper
    observer: Observer
    code: Code
    batch: Batch
    layout: Layout
    plan: Plan
    policy: Policy | None = None
    start: PyTree | None = None
    facts: Mapping[str, Any] = MappingProxyType({})
    planned: bool = False

    @property
    def members(self) -> int:
        """The number of members of the ensemble, M."""
        return len(self.hyper.seed)

    def member(self, index: int) -> tuple[Generator, Hyper]:
        """Generator and hyper-parameters of one member."""
        return jax.tree.map(lambda leaf: leaf[index], (self.generator, self.hyper))

    @property
    def stacked(self) -> tuple[Generator, Hyper, PyTree]:
        """The arguments of `init` of all members, stacked."""
        return self.generator, self.hyper, self.start

    def init(self, generator: Generator, hyper: Hyper, start: PyTree | None = None) -> State:
        """The state of a member before its first step."""
        params = self.known(generator)
        if start is not None:
            key = streams.stream(hyper.seed, "init")
            params = self.observer.starts(key, start) if self.observer.starts else start
        return self.code.init(hyper, params)

    def known(self, generator: Generator) -> PyTree:
        """The parameters of an observer that is given the law of its data; None of a learner."""
        return self.observer.knows(generator) if self.observer.knows else None

    def abstract_state(self) -> PyTree:
        """Shapes and dtypes of the states of all members."""
        return jax.eval_shape(jax.vmap(self.init), *self.stacked)


def assemble(
    config: Config, members: Sequence[Overrides] | None = None, place: Place = NOWHERE
) -> Setup:
    """The setup of the run that a config describes.

    Args:
      config: sections of plain values as in `configs/base.py`; arguments of the generator, observer
        and code that are left out have their defaults.
      members: overrides of each member of the ensemble: `run.seed`, keys of `optim`, keys of
        `generator` that change no shapes, and `label`. None: `run.seeds` consecutive seeds.
      place: where references to other records lead.

    Raises:
      ValueError: a key or value that is not accepted, before anything is compiled.
    """
    config = run_config.check_types(run_config.resolve(config, {}))
    run = config["run"]
    plan = make_plan(config)
    legal = 1 <= run["seeds"] <= MOST_MEMBERS
    require("run.seeds", run["seeds"], legal, f"1 to {MOST_MEMBERS} members of one ensemble")
    require("run.dtype", run["dtype"], run["dtype"] in DTYPES, " or ".join(DTYPES))
    on_cpu = jax.default_backend() == "cpu"
    required = run["require_accelerator"]
    require("run.require_accelerator", required, not (required and on_cpu), "false on a CPU")
    if members is None:
        members = [{"run.seed": run["seed"] + n} for n in range(run["seeds"])]
    _check_varied(members)
    varied = [run_config.resolve(config, member) for member in members]
    for member_config in varied:
        _check_label(member_config)
    hypers = [optim.make_hyper(c["run"]["seed"], **c["optim"]) for c in varied]
    learners = Learners(place)
    generators = [
        components.make(
            "generator",
            c["generator"],
            key=streams.stream(hyper.seed, "world"),
            learner_of=learners.of_seed(int(hyper.seed)),
        )
        for c, hyper in zip(varied, hypers)
    ]
    _check_against(plan.against, generators[0])
    observer = make_observer(config["observer"], generators[0], run["dtype"])
    contracts.check(generators[0], observer, config)
    begun = None
    start.check_keeps(run["start_keeps"], observer)
    if run["start"] is not None:
        seeds = [int(hyper.seed) for hyper in hypers]
        accepted = "none with code.name=blocks, which starts anew in every block"
        require("run.start", run["start"], config["code"]["name"] != "blocks", accepted)
        begun = start.load(config, seeds, observer, generators[0], place)
    observer = _adapted(observer, **config["adapter"])

    spec = generators[0].spec

    def make_code(observer: Observer, batch: Batch) -> Code:
        supplied = dict(observer=observer, batch=batch, length=spec.length, side=spec.side)
        return components.make("code", config["code"], **supplied)

    described = config | {"members": list(members)}
    setup = make_setup(generators, hypers, observer, make_code, plan, described)
    waits = learners.stand_in or (run["start"] is not None and begun is None)
    setup = setup._replace(policy=_policy(config, setup.generator), planned=waits)
    return setup._replace(start=begun.params, facts=begun.facts) if begun else setup


def _policy(config: Config, generator: Generator) -> Policy | None:
    """The policy of a config, whose prior are the weights of the stacked generator."""
    section, prior_MxP = config["policy"], getattr(generator, "weights_P", None)
    fixed = section["name"] == "fixed"
    accepted = "fixed with a generator that has no weights"
    require("policy.name", section["name"], fixed or prior_MxP is not None, accepted)
    for legal, accepted in (
        (
            not config["run"]["distributed"],
            "fixed with run.distributed=true: all would read the rows",
        ),
        (config["code"]["name"] == "prequential", "fixed with a code whose rows have no parts"),
        (config["run"]["examples"] is None, "fixed with run.examples: a second pass would differ"),
    ):
        require("policy.name", section["name"], fixed or legal, accepted)
    period, chunk = section.get("period", config["run"]["chunk"]), config["run"]["chunk"]
    accepted = f"multiples of run.chunk={chunk}: weights change between two chunks"
    require("policy.period", period, fixed or period % chunk == 0, accepted)
    prior_MxP = None if prior_MxP is None else np.asarray(prior_MxP, np.float64)
    return components.make("policy", section, prior_MxP=prior_MxP, chunk=chunk)


def _check_against(against: int | None, generator: Generator) -> None:
    """Refuse a part that is not there, or whose examples are shorter than others."""
    parts = getattr(generator, "parts", ())
    longest = [n for n, part in enumerate(parts) if part.spec.length == generator.spec.length]
    known = ", ".join(map(str, longest)) or "those of a mixture, from 0 on"
    accepted = f"the number of a part that is as long as any other, {known}; or none"
    require("eval.against", against, against is None or against in longest, accepted)


def _adapted(observer: Observer, rank: int | None, alpha: float, entries: int | None) -> Observer:
    """The observer with an adapter around it, if there is a rank."""
    require("adapter.alpha", alpha, 0 < alpha < math.inf, "a number above 0")
    if rank is not None:
        return adapter.around(observer, rank, alpha, entries)
    require("adapter.entries", entries, entries is None, "none without adapter.rank")
    return observer


def make_setup(
    generators: Sequence[Generator],
    hypers: Sequence[Hyper],
    observer: Observer,
    make_code: Callable[[Observer, Batch], Code],
    plan: Plan,
    config: dict[str, Any],
) -> Setup:
    """The setup of a run from its components.

    Args:
      generators, hypers: one per member, of equal shapes.
      observer: shared by the members.
      make_code: makes the code shared by the members.
      plan: of the run.
      config: kept in the record.

    Raises:
      ValueError: the devices, the generator, the code or the memory do not allow this run.
    """
    spec, members = generators[0].spec, len(generators)
    layout = make_layout(plan.parallel, plan.devices, members, plan.batch, spec.length)
    batch = make_batch(plan, layout, spec.length)
    code = make_code(observer, batch)
    if code.steps is not None:
        name = config.get("code", {}).get("name", "a code of your own")
        accepted = f"{code.steps}, the steps of code.name={name} with its other keys"
        require("run.steps", plan.steps, plan.steps == code.steps, accepted)
    _check_passes(plan, spec, counts_passes=code.steps is None)
    generator, hyper = stack(generators), stack(hypers)
    setup = Setup(config, spec, generator, hyper, observer, code, batch, layout, plan)
    _check_memory(setup)
    return setup


def make_batch(plan: Plan, layout: Layout, length: int) -> Batch:
    """The batch of a step, divided over the devices that share it.

    With `run.microbatch` None, a core processes as many examples of `length` tokens at once as its
    cache holds, and an accelerator all.
    """
    part = plan.batch // layout.shards
    fitting = max(1, CORE_TOKENS // length) if layout.platform == "cpu" else part
    microbatch = min(plan.microbatch or largest_divisor(part, fitting), part)
    accepted = f"divisors of the {part} examples of a batch that each device sees, or none"
    require("run.microbatch", plan.microbatch, part % microbatch == 0, accepted)
    decoded = largest_divisor(part, DECODED) if layout.platform == "cpu" else part
    axis = AXIS if layout.shards > 1 else None
    return Batch(plan.batch, microbatch, axis, layout.shards, decoded, plan.examples, plan.turns)


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Members of equal shapes as one tree with a leading member axis.

    Raises:
      ValueError: they differ in more than the values of arrays.
    """
    shapes = [contracts.shapes(tree) for tree in trees]
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            accepted = (
                "members that differ only in the values of arrays, to share an ensemble; this is "
                f"member {index}, and member 0 is {trees[0]!r:.200}"
            )
            raise refusal("members", trees[index], accepted)
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *trees)


def _check_varied(members: Sequence[Overrides]) -> None:
    for key, value in {key: value for member in members for key, value in member.items()}.items():
        section, _, name = key.partition(".")
        may_vary = section in ("optim", "generator", "label") and name != "name"
        accepted = (
            "run.seed, label.generator, keys of optim, and keys of generator that change no "
            "shapes, as keys that members vary"
        )
        require(key, value, may_vary or key == "run.seed", accepted)


def _check_label(config: Config) -> None:
    for name, label in config.get("label", {}).items():
        try:
            label.format(**config[name])
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            accepted = "a text for generator or observer, with their keys in braces"
            raise refusal(f"label.{name}", label, f"{accepted} ({error!r})") from None


def _check_passes(plan: Plan, spec: Spec, counts_passes: bool) -> None:
    """Refuse too many passes over finite data, or more held-out examples than there are.

    A code that fixes its number of steps also fixes its passes, which are not counted.
    """
    if plan.examples is not None and spec.size is not None:
        accepted = f"1 to {spec.size}, the training examples of this generator, or none"
        require("run.examples", plan.examples, plan.examples <= spec.size, accepted)
    size = spec.size if plan.examples is None else plan.examples
    if size is None:
        return
    accepted = f"1 to {size}, the training examples of a pass"
    require("run.batch", plan.batch, plan.batch <= size, accepted)
    passes = plan.steps * plan.batch / size
    accepted = (
        f"1 to {plan.repeats * size // plan.batch} with run.batch={plan.batch}: it needs "
        f"{passes:.2f} passes over {size} training examples, and run.repeats={plan.repeats}; "
        "run.repeats allows more (S_preq then charges repeated tokens as if they were new; EDL "
        "does not)"
    )
    require("run.steps", plan.steps, not counts_passes or passes <= plan.repeats, accepted)
    if spec.size is not None:
        accepted = f"1 to {spec.held_out}, the examples that this generator holds out"
        require("eval.examples", plan.eval_examples, plan.eval_examples <= spec.held_out, accepted)


def _check_memory(setup: Setup) -> None:
    plan, spec, batch = setup.plan, setup.spec, setup.batch
    state = jax.eval_shape(setup.init, *setup.member(0))
    needed = memory.forecast_bytes(
        setup.generator,
        state,
        members=setup.members,
        shards=setup.layout.copies,
        logits=batch.microbatch * spec.length * spec.vocab,
        rows=min(plan.chunk, plan.steps) * 16 + plan.eval_examples * 5,
    )
    available = memory.available_bytes(setup.layout.devices)
    accepted = (
        f"at most the {(available or 0) / 2**30:.1f} GiB of this machine: reduce run.seeds, "
        "run.microbatch, run.chunk, eval.examples, or the sizes of generator and observer"
    )
    forecast = f"at least {needed / 2**30:.1f} GiB"
    if available is not None and needed > available:
        raise refusal("memory", forecast, accepted)
