"""The start of a run from the weights of another: taught first, measured afterwards."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from epx import files, record, streams
from epx.run import references
from epx.run.config.keys import Config
from epx.run.config.observing import make_observer
from epx.run.references import Place
from epx.types import Generator, Observer, PyTree, Refusal, Spec, require

KEY = "run.start"
KEEPS = ("all", "body")


class Start(NamedTuple):
    """The weights from which members start.

    Attributes:
      params: of all members, numpy arrays with a leading axis M.
      facts: kept in the record: the step of the other run, and a digest of the weights.
    """

    params: PyTree
    facts: dict[str, Any]


def check_keeps(keeps: str, observer: Observer) -> None:
    """Refuse what a start does not know to keep. Raises ValueError."""
    known = KEEPS if observer.scales else KEEPS[:1]
    require("run.start_keeps", keeps, keeps in known, " or ".join(known))


def load(
    config: Config, seeds: Sequence[int], observer: Observer, generator: Generator, place: Place
) -> Start | None:
    """The averaged weights of a record, those of its member with the same seed for each member.

    Args:
      config: of the run. `run.start` refers to a record (`epx.run.references`). Of its weights
        `run.start_keeps` all, or the body, those whose shapes depend neither on the vocabulary nor
        on the length nor on vectors that are read. The others are new: the body can so be taken to
        examples of another shape.
      seeds: of the members.
      observer: of the run, which must be that of the record.
      generator: of the run; if all weights are kept, of examples of the same shape as the record's,
        but for marks of the tokens that may occur.
      place: where the reference leads.

    Returns:
      The start; None where the record is still to be made.

    Raises:
      ValueError: there is no such record or state, or it has another observer, other tokens or
        other seeds.
    """
    reference, keeps_all = config["run"]["start"], config["run"]["start_keeps"] == "all"
    if references.planned(KEY, reference, place):
        return None
    found, step = references.find(KEY, reference, place)
    changed = record.difference(found.config.get("observer", {}), config["observer"])
    require(KEY, reference, not changed, f"a record of this observer: {'; '.join(changed)}")
    own = observer
    if changed := references.shape_difference(found, generator, marks=False):
        accepted = f"a record of examples of this shape: {changed}; or run.start_keeps=body"
        require(KEY, reference, not keeps_all, accepted)
        facts = found.config["facts"]
        shape = {name: facts.get(name, 0) for name in ("vocab", "length", "side", "masked")}
        own = _of_shape(config, Spec(size=None, version=0, **shape))
    chosen = references.members(KEY, reference, found, seeds)
    averaged = references.averaged(KEY, found, step, own)
    params = jax.tree.map(lambda leaf: leaf[np.array(chosen)], averaged)
    if not keeps_all:
        new = jax.vmap(lambda seed: observer.init(streams.stream(seed, "init")))(np.array(seeds))
        params = _with_body(params, jax.device_get(new), _body(config, generator.spec))
    digest = files.digest(jax.tree.leaves(params), shapes=True)
    return Start(params, {"start_step": step, "start_sha256": digest})


def _with_body(theirs: PyTree, new: PyTree, body: PyTree) -> PyTree:
    """New weights, with those of the record in the body, where both have them.

    Only one of the two may read side information.
    """
    old = dict(jax.tree_util.tree_leaves_with_path(theirs))

    def leaf(path: tuple, new: np.ndarray, in_body: bool) -> np.ndarray:
        return old[path] if in_body and path in old else new

    return jax.tree_util.tree_map_with_path(leaf, new, body)


def _body(config: Config, spec: Spec) -> PyTree:
    """Of each weight, whether its shape depends on no shape of the examples."""
    changes = [{}, {"vocab": spec.vocab + 1}, {"length": spec.length + 1}]
    changes += [{"side": spec.side + 1}] * bool(spec.side)
    trees = []
    for change in changes:
        variant = dataclasses.replace(spec, **change)
        with contextlib.suppress(Refusal):  # a family that knows no other length has none to lose
            init = _of_shape(config, variant).init
            trees.append(jax.eval_shape(init, jax.random.key(0)))
    return jax.tree.map(lambda *leaves: len({leaf.shape for leaf in leaves}) == 1, *trees)


class _Examples(NamedTuple):
    """In place of a generator, for an observer of examples of some shape."""

    spec: Spec


def _of_shape(config: Config, spec: Spec) -> Observer:
    """The observer of a config for examples of this shape."""
    return make_observer(config["observer"], _Examples(spec), config["run"]["dtype"])
