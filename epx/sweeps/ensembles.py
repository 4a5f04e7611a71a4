"""Ensembles of a sweep: runs of equal shapes share one compiled program and one record."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from epx import streams
from epx.run import references
from epx.run.config import components, contracts
from epx.run.config import keys as run_config
from epx.run.config.keys import Config, Overrides
from epx.run.references import Learners, Place
from epx.types import LearnerOf, refusal, require

# In overrides, the name of the ensemble; in `run.start`, `ensemble:NAME` starts from its record,
# and `ensemble:NAME:STEP` from one of its saved states.
NAME = "ensemble"
# Sections that the members of an ensemble may vary, as long as no shape changes.
_FREE = ("optim", "generator", "label")


class Ensemble(NamedTuple):
    """The runs of a sweep that share one record.

    Attributes:
      name: of the record's folder.
      config: shared by the members.
      members: overrides of each member.
      needs: names of the ensembles whose records must be complete first.
      given: the name that the sweep gave it, or "".
    """

    name: str
    config: Config
    members: list[Overrides]
    needs: tuple[str, ...] = ()
    given: str = ""


def ensembles(config: Config, sweep: Sequence[Overrides]) -> list[Ensemble]:
    """Group a sweep by shape: one ensemble for each compiled program.

    Args:
      config: sections of plain values that all runs share.
      sweep: the overrides of each run. Without `run.seed` a run has the seed of the config. Runs
        with the override `ensemble` share one that has this name, and others may start from it:
        `run.start=ensemble:NAME` or `ensemble:NAME:STEP`.

    Returns:
      Ensembles in the order of their first runs, named by their number and their components, or by
      the name that they are given.

    Raises:
      ValueError: an empty sweep, a key or value that is not accepted, or two ensembles of a name.
    """
    require("sweep", list(sweep), len(sweep) > 0, "a list with at least one set of overrides")
    learners = Learners(Place(planned=_planned(config, sweep)))
    shapes: dict[str, str] = {}
    groups: dict[str, list[Overrides]] = {}
    for overrides in sweep:
        if not isinstance(overrides, dict):
            raise refusal("sweep", overrides, "dicts of dotted keys and values")
        keys = {key: value for key, value in overrides.items() if key != NAME}
        section = run_config.resolve(config, keys)["generator"]
        arguments = json.dumps(section, sort_keys=True, default=str)
        if arguments not in shapes:
            seed = int(keys.get("run.seed", config["run"]["seed"]))
            shapes[arguments] = _shape(section, learners.of_seed(seed))
        fixed = {key: value for key, value in overrides.items() if not _may_vary(key)}
        group = json.dumps([fixed, shapes[arguments]], sort_keys=True, default=str)
        groups.setdefault(group, []).append(overrides)
    made = [_ensemble(number, config, members) for number, members in enumerate(groups.values())]
    return _linked(made)


def _planned(config: Config, sweep: Sequence[Overrides]) -> dict[str, Config]:
    """The configs of the named ensembles, as far as references need them."""
    named = [overrides for overrides in sweep if isinstance(overrides, dict) and NAME in overrides]
    return {
        overrides[NAME]: run_config.resolve(
            config, {key: value for key, value in overrides.items() if key != NAME}
        )
        for overrides in {run[NAME]: run for run in named}.values()
    }


def _linked(made: list[Ensemble]) -> list[Ensemble]:
    """The ensembles with what each needs: those that the configs of its members refer to."""
    own, tails = by_given_name(made), [ensemble.name.partition("-")[2] for ensemble in made]
    twice = sorted(name for name in own if tails.count(name) > 1)
    accepted = f"names of one shape each; {', '.join(twice)} has two or more"
    require(NAME, list(own), not twice, accepted)
    by_name = {ensemble.given: ensemble for ensemble in made if ensemble.given}
    linked = []
    for ensemble in made:
        needed: dict[str, str] = {}
        for member in ensemble.members:
            needed |= references.names(run_config.resolve(ensemble.config, member))
        for name, key in needed.items():
            known = f"ensemble:NAME of {', '.join(own)}"
            require(key, f"{NAME}:{name}", name in by_name, known)
            members = by_name[name].members
            varied = sorted({varied for member in members for varied in member} - {"run.seed"})
            accepted = f"an ensemble whose members differ in their seeds alone, not in {varied}"
            require(key, f"{NAME}:{name}", not varied, accepted)
        linked.append(ensemble._replace(needs=tuple(by_name[name].name for name in needed)))
    return linked


def by_given_name(ensembles: Sequence[Ensemble]) -> dict[str, Config]:
    """The configs of the ensembles that have a name, which references have."""
    return {ensemble.given: ensemble.config for ensemble in ensembles if ensemble.given}


def _may_vary(key: str) -> bool:
    """Whether the members of an ensemble may vary a key, as far as shapes allow."""
    section = key.partition(".")[0]
    return key == "run.seed" or (section in _FREE and key != "generator.name")


def _shape(section: dict[str, Any], learner_of: LearnerOf) -> str:
    """The structure, shapes and dtypes of a section's generator, as text."""
    key = streams.stream(0, "world")
    generator = components.make("generator", section, key=key, learner_of=learner_of)
    leaves, structure = jax.tree.flatten(contracts.shapes(generator))
    return f"{structure} {leaves}"


def _ensemble(number: int, config: Config, members: list[Overrides]) -> Ensemble:
    """Move overrides that all members have in common into the shared config."""
    name = members[0].get(NAME)
    members = [{k: v for k, v in member.items() if k != NAME} for member in members]
    keys = list(dict.fromkeys(key for member in members for key in member))
    common = {
        key: members[0][key]
        for key in keys
        if key != "run.seed" and all(m.get(key, m) == members[0].get(key) for m in members)
    }
    shared = run_config.resolve(config, common)
    shared["run"]["seeds"] = len(members)
    seed = {"run.seed": shared["run"]["seed"]}
    varied = [seed | {k: v for k, v in m.items() if k not in common} for m in members]
    return Ensemble(_name(number, shared, name), shared, varied, given=name or "")


def _name(number: int, config: Config, given: str | None) -> str:
    """The name of a folder: the number, so that a listing keeps the order, and the components."""
    if given is not None:
        accepted = "a name of letters, digits, - and _"
        legal = isinstance(given, str) and re.fullmatch(r"[\w-]+", given) is not None
        require(NAME, given, legal, accepted)
        return f"{number:02d}-{given}"
    names = [config[kind]["name"].rpartition(".")[2] for kind in ("generator", "observer", "code")]
    if names[-1] == "prequential":  # the default
        names.pop()
    return "-".join([f"{number:02d}", *names])
