"""Ensembles of a sweep: runs of equal shapes share one compiled program and one record."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from epx import streams
from epx.run import components, contracts
from epx.run import config as run_config
from epx.run.config import Config, Overrides
from epx.types import refusal, require

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
    """

    name: str
    config: Config
    members: list[Overrides]
    needs: tuple[str, ...] = ()


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
    shapes: dict[str, str] = {}
    groups: dict[str, list[Overrides]] = {}
    for overrides in sweep:
        if not isinstance(overrides, dict):
            raise refusal("sweep", overrides, "dicts of dotted keys and values")
        keys = {key: value for key, value in overrides.items() if key != NAME}
        section = run_config.resolve(config, keys)["generator"]
        arguments = json.dumps(section, sort_keys=True, default=str)
        if arguments not in shapes:
            shapes[arguments] = _shape(section)
        fixed = {key: value for key, value in overrides.items() if not _may_vary(key)}
        group = json.dumps([fixed, shapes[arguments]], sort_keys=True, default=str)
        groups.setdefault(group, []).append(overrides)
    made = [_ensemble(number, config, members) for number, members in enumerate(groups.values())]
    return _linked(made, [members[0].get(NAME) for members in groups.values()])


def _linked(made: list[Ensemble], names: list[str | None]) -> list[Ensemble]:
    """The ensembles with what each needs: the one that it starts from."""
    given = [name for name in names if name is not None]
    twice = sorted({name for name in given if given.count(name) > 1})
    require(NAME, given, not twice, f"names of one shape each; {', '.join(twice)} has two or more")
    by_name = dict(zip(names, (ensemble.name for ensemble in made)))
    linked = []
    for ensemble in made:
        if starts_from_another(ensemble):
            start = ensemble.config["run"]["start"]
            name = start.split(":")[1]
            require("run.start", start, name in given, f"{NAME}:NAME of {', '.join(given)}")
            members = made[names.index(name)].members
            varied = sorted({key for member in members for key in member} - {"run.seed"})
            accepted = f"a start whose members differ in their seeds alone, not in {varied}"
            require("run.start", start, not varied, accepted)
            ensemble = ensemble._replace(needs=(by_name[name],))
        linked.append(ensemble)
    return linked


def starts_from_another(ensemble: Ensemble) -> bool:
    """Whether an ensemble starts from the weights of another one of its sweep."""
    return (ensemble.config["run"].get("start") or "").startswith(f"{NAME}:")


def start_in(ensemble: Ensemble, records: Path) -> str:
    """The `run.start` of an ensemble that starts from another one, in the folder of the records."""
    step = ensemble.config["run"]["start"].split(":")[2:]
    return ":".join([str(records / ensemble.needs[0]), *step])


def _may_vary(key: str) -> bool:
    """Whether the members of an ensemble may vary a key, as far as shapes allow."""
    section = key.partition(".")[0]
    return key == "run.seed" or (section in _FREE and key != "generator.name")


def _shape(section: dict[str, Any]) -> str:
    """The structure, shapes and dtypes of a section's generator, as text."""
    generator = components.make("generator", section, key=streams.stream(0, "world"))
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
    return Ensemble(_name(number, shared, name), shared, varied)


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
