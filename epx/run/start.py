"""The start of a run from the weights of another: taught first, measured afterwards."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from epx import files, record, streams
from epx.record import RecordError
from epx.run import checkpoint, components
from epx.run.config import Config
from epx.types import Generator, Observer, PyTree, Spec, refusal, require

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


def load(config: Config, seeds: Sequence[int], observer: Observer, generator: Generator) -> Start:
    """The averaged weights of a record, those of its member with the same seed for each member.

    Args:
      config: of the run. `run.start` is RECORD or RECORD:STEP, a folder and the step of a saved
        state; of its weights `run.start_keeps` all, or the body, those whose shapes depend neither
        on the vocabulary nor on the length. The others are new: the body can so be taken to
        examples of another shape.
      seeds: of the members.
      observer: of the run, which must be that of the record.
      generator: of the run; if all weights are kept, of examples of the same shape as the record's.

    Raises:
      ValueError: there is no such record or state, or it has another observer, other tokens or
        other seeds.
    """
    reference, section = config["run"]["start"], config["observer"]
    keeps_all = config["run"]["start_keeps"] == "all"
    folder, _, step = reference.rpartition(":")
    folder, step = (folder, step) if step.isdigit() and folder else (reference, "")
    accepted = "a folder with a record, or RECORD:STEP with a step of its saved states"
    require(KEY, reference, (Path(folder) / "config.json").exists(), accepted)
    found = record.load(Path(folder))
    _check(reference, found, section, generator.spec if keeps_all else None)
    saved = checkpoint.steps(found.path / "ckpt")
    wanted = int(step) if step else (saved or [0])[-1]
    known = f"{accepted}: {', '.join(map(str, saved)) or 'it has none'}"
    require(KEY, reference, wanted in saved, known)
    try:
        params = _params(found, wanted)
    except RecordError as error:
        raise refusal(KEY, reference, f"a record whose state can be read; {error}") from error
    members = _members(reference, found, seeds)
    chosen = jax.tree.map(lambda leaf: leaf[np.array(members)], params)
    if not keeps_all:
        new = jax.vmap(lambda seed: observer.init(streams.stream(seed, "init")))(np.array(seeds))
        chosen = _with_body(chosen, jax.device_get(new), _body(config, generator))
    digest = files.digest(jax.tree.leaves(chosen), shapes=True)
    return Start(chosen, {"start_step": wanted, "start_sha256": digest})


def _with_body(theirs: PyTree, new: PyTree, body: PyTree) -> PyTree:
    """New weights, with those of the record in the body, where both have them.

    Only one of the two may read side information.
    """
    old = dict(jax.tree_util.tree_leaves_with_path(theirs))

    def leaf(path: tuple, new: np.ndarray, in_body: bool) -> np.ndarray:
        return old[path] if in_body and path in old else new

    return jax.tree_util.tree_map_with_path(leaf, new, body)


def _body(config: Config, generator: Generator) -> PyTree:
    """Of each weight, whether its shape depends neither on the vocabulary nor on the length."""

    def shapes(vocab: int, length: int) -> PyTree:
        spec = dataclasses.replace(generator.spec, vocab=vocab, length=length)
        own = config["observer"], _OfShape(spec), config["run"]["dtype"]
        init = components.make_observer(*own).init
        return jax.eval_shape(init, jax.random.key(0))

    spec = generator.spec
    variants = ((spec.vocab, spec.length), (spec.vocab + 1, spec.length))
    trees = [shapes(*variant) for variant in (*variants, (spec.vocab, 2 * spec.length))]
    return jax.tree.map(lambda *leaves: len({leaf.shape for leaf in leaves}) == 1, *trees)


class _OfShape(NamedTuple):
    """In place of a generator, for an observer of examples of some shape."""

    spec: Spec


def _check(
    reference: str, found: record.Record, section: dict[str, Any], spec: Spec | None
) -> None:
    """Refuse a record of another observer, or of other tokens than those of a spec."""
    theirs = found.config.get("observer", {})
    changed = record.difference(theirs, section)
    require(KEY, reference, not changed, f"a record of this observer: {'; '.join(changed)}")
    if spec is not None:
        facts = found.config["facts"]
        keys = {"vocab": spec.vocab, "length": spec.length, "side": spec.side}
        changed = record.difference({key: facts.get(key, 0) for key in keys}, keys)
        accepted = f"a record of examples of this shape: {'; '.join(changed)}"
        require(KEY, reference, not changed, f"{accepted}; or run.start_keeps=body")
    adapted = (found.config.get("adapter") or {}).get("rank") is not None
    require(KEY, reference, not adapted, "a record whose own weights have learned, not an adapter")


def _params(found: record.Record, step: int) -> PyTree:
    """The averaged weights of all members after some steps."""
    from epx.run.trained import assemble_again  # which assembles what is being assembled

    setup = assemble_again(found)
    learner = checkpoint.read(found.path / "ckpt", step, setup.abstract_state()).learner
    return learner.params if setup.observer.update else learner.ema


def _members(reference: str, found: record.Record, seeds: Sequence[int]) -> list[int]:
    """The member of each seed."""
    members = found.config["members"]
    varied = sorted({key for member in members for key in member} - {"run.seed"})
    accepted = f"a record whose members differ in their seeds alone, not in {', '.join(varied)}"
    require(KEY, reference, not varied, accepted)
    by_seed = {member["run.seed"]: n for n, member in enumerate(members)}
    lacking = sorted(set(seeds) - set(by_seed))
    known = ", ".join(map(str, sorted(by_seed)))
    accepted = f"a record with the seeds of this run; it lacks {lacking} and has {known}"
    require(KEY, reference, not lacking, accepted)
    failed = [seed for seed in seeds if not found.rows["finite"][by_seed[seed], -1]]
    require(KEY, reference, not failed, f"a record whose members are finite; {failed} are not")
    return [by_seed[seed] for seed in seeds]
