"""What a run takes from the records of others: weights, by a path or by the name of an ensemble.

`RECORD` and `RECORD:STEP` are folders, with the step of a saved state. `ensemble:NAME` and
`ensemble:NAME:STEP` name an ensemble of the same sweep; its record is beside that of the run. While
a sweep is planned the record may not be there yet, and new weights of the same shapes stand in.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from epx import record, streams
from epx.learning import optim
from epx.learning.batch import Batch
from epx.record import Record, RecordError
from epx.run import checkpoint
from epx.run.config import components
from epx.run.config.keys import Config
from epx.run.config.observing import make_observer
from epx.types import Generator, Observer, PyTree, refusal, require

SHAPE = ("vocab", "length", "side", "masked")  # of examples, on which an observer depends
_NAMED = re.compile(r"ensemble:([\w-]+)(?::(\d+))?")


class Place(NamedTuple):
    """Where references lead.

    Attributes:
      records: folder of the records of the sweep that the run is part of, or None.
      planned: name of an ensemble -> its config, while its record may not be there.
    """

    records: Path | None = None
    planned: Mapping[str, Config] = {}


NOWHERE = Place()


def names(config: Config) -> dict[str, str]:
    """The ensembles that `run.start` or a text of the generator refers to, each with the key."""
    texts = {f"generator.{key}": value for key, value in config["generator"].items()}
    texts["run.start"] = config["run"].get("start")
    return {
        name: key
        for key, text in texts.items()
        if isinstance(text, str)
        for name, _ in _NAMED.findall(text)
    }


def planned(key: str, reference: str, place: Place) -> Config | None:
    """The config of a reference whose record is still to be made; None where it is there.

    Raises:
      ValueError: the plan has no ensemble of this name.
    """
    if place.records is not None or not (named := _NAMED.fullmatch(reference)):
        return None
    known = ", ".join(place.planned) or "none, as this is no sweep"
    require(key, reference, named[1] in place.planned, f"ensemble:NAME of {known}")
    return place.planned[named[1]]


def find(key: str, reference: str, place: Place) -> tuple[Record, int]:
    """The record of a reference, and the step of its saved state.

    Raises:
      ValueError: there is no such record or state.
    """
    accepted = "a folder with a record, or RECORD:STEP with a step of its saved states"
    if (named := _NAMED.fullmatch(reference)) and place.records is not None:
        path, step = folder_of(named[1], place.records), named[2] or ""
    else:
        path, _, step = reference.rpartition(":")
        path, step = (path, step) if step.isdigit() and path else (reference, "")
    require(key, reference, (Path(path) / "config.json").exists(), accepted)
    found = record.load(Path(path))
    saved = checkpoint.steps(found.path / "ckpt")
    wanted = int(step) if step else (saved or [0])[-1]
    known = f"{accepted}: {', '.join(map(str, saved)) or 'it has none'}"
    require(key, reference, wanted in saved, known)
    return found, wanted


def folder_of(name: str, records: Path) -> Path:
    """The record of the ensemble with a given name: its number, a hyphen and the name."""
    folders = records.iterdir() if records.is_dir() else ()
    numbered = re.compile(rf"\d+-{re.escape(name)}")
    return next((path for path in folders if numbered.fullmatch(path.name)), records / name)


def averaged(key: str, found: Record, step: int, observer: Observer) -> PyTree:
    """The averaged weights of all members of a record, numpy arrays with a leading axis M.

    Args:
      key: of the config, for a refusal.
      found: the record.
      step: of a saved state.
      observer: of the record, for examples of the record's shape.

    Raises:
      ValueError: the state cannot be read, or its weights are beside an adapter.
    """
    config = found.config
    adapted = (config.get("adapter") or {}).get("rank") is not None
    accepted = "a record whose own weights have learned, not an adapter"
    require(key, str(found.path), not adapted, accepted)
    run = config["run"]
    batch = Batch(run["batch"], 1, examples=run.get("examples"))
    shape = {name: config["facts"].get(name, 0) for name in ("length", "side")}
    code = components.make("code", config["code"], observer=observer, batch=batch, **shape)
    hyper = jax.tree.map(
        lambda leaf: jnp.stack([jnp.asarray(leaf)] * len(config["members"])), optim.make_hyper(0)
    )
    like = jax.eval_shape(jax.vmap(code.init), hyper)
    try:
        learner = checkpoint.read(found.path / "ckpt", step, like).learner
    except RecordError as error:
        accepted = f"a record whose state can be read; {error}"
        raise refusal(key, str(found.path), accepted) from error
    return learner.params if observer.update else learner.ema


def members(key: str, reference: str, found: Record, seeds: Sequence[int]) -> list[int]:
    """The member of each seed.

    Raises:
      ValueError: a seed has no member, a member has failed, or they differ in more than seeds.
    """
    varied = sorted({name for member in found.config["members"] for name in member} - {"run.seed"})
    accepted = f"a record whose members differ in their seeds alone, not in {', '.join(varied)}"
    require(key, reference, not varied, accepted)
    by_seed = {member["run.seed"]: n for n, member in enumerate(found.config["members"])}
    lacking = sorted(set(seeds) - set(by_seed))
    known = ", ".join(map(str, sorted(by_seed)))
    accepted = f"a record with the seeds of this run; it lacks {lacking} and has {known}"
    require(key, reference, not lacking, accepted)
    failed = [seed for seed in seeds if not found.rows["finite"][by_seed[seed], -1]]
    require(key, reference, not failed, f"a record whose members are finite; {failed} are not")
    return [by_seed[seed] for seed in seeds]


class Learners:
    """The trained learners that generators of a run draw from, of one seed each.

    Members of an ensemble share the observer, and a record is read once.
    """

    def __init__(self, place: Place = NOWHERE) -> None:
        self._place = place
        self.stand_in = False  # whether a record that is still to be made has been asked for
        self._read: dict[tuple[str, str], tuple[Record | None, Observer, PyTree]] = {}

    def of_seed(self, seed: int):
        """A function (config key, reference, generator) -> observer and weights of this seed.

        The generator gives the shape of the examples, that of the record's.
        """

        def learner(key: str, reference: str, like: Generator) -> tuple[Observer, PyTree]:
            shape = str([getattr(like.spec, name) for name in SHAPE])
            if (reference, shape) not in self._read:
                self._read[reference, shape] = self._load(key, reference, like)
            found, observer, params = self._read[reference, shape]
            if found is None:
                self.stand_in = True
                return observer, observer.init(streams.stream(seed, "init"))
            (member,) = members(key, reference, found, [seed])
            return observer, jax.tree.map(lambda leaf: jnp.asarray(leaf[member]), params)

        return learner

    def _load(
        self, key: str, reference: str, like: Generator
    ) -> tuple[Record | None, Observer, PyTree]:
        config, found, step = planned(key, reference, self._place), None, 0
        if config is None:
            found, step = find(key, reference, self._place)
            config = found.config
            _check_shape(key, reference, found, like)
        observer = make_observer(config["observer"], like, config["run"]["dtype"])
        params = None if found is None else averaged(key, found, step, observer)
        return found, observer, params


def _check_shape(key: str, reference: str, found: Record, like: Generator) -> None:
    """Refuse a record of examples of another shape."""
    changed = shape_difference(found, like)
    accepted = f"a record of examples of this shape: {changed}"
    require(key, reference, not changed, accepted)


def shape_difference(found: Record, like: Generator, marks: bool = True) -> str:
    """How the shape of a record's examples differs from that of a generator's, or ''.

    Args:
      found: the record.
      like: the generator.
      marks: whether vectors count that mark the tokens that may occur. No weight depends on them.
    """
    spec, facts = like.spec, found.config["facts"]
    wanted: dict[str, Any] = {name: getattr(spec, name) for name in SHAPE}
    has = {name: facts.get(name, 0) for name in SHAPE}
    if not marks:
        has, wanted = _without_marks(has), _without_marks(wanted)
    return "; ".join(record.difference(has, wanted))


def _without_marks(shape: dict[str, Any]) -> dict[str, Any]:
    return shape | ({"masked": False, "side": 0} if shape["masked"] else {})
