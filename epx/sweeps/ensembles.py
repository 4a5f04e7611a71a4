"""Ensembles of a sweep: runs of equal shapes share one compiled program and one record."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from epx import streams
from epx.run import components, contracts
from epx.run import config as run_config
from epx.run.config import Config, Overrides
from epx.types import refusal, require

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
      sweep: the overrides of each run. Without `run.seed` a run has the seed of the config.

    Returns:
      Ensembles in the order of their first runs, named by their number and their components.

    Raises:
      ValueError: an empty sweep, or a key or value that is not accepted.
    """
    require("sweep", list(sweep), len(sweep) > 0, "a list with at least one set of overrides")
    shapes: dict[str, str] = {}
    groups: dict[str, list[Overrides]] = {}
    for overrides in sweep:
        if not isinstance(overrides, dict):
            raise refusal("sweep", overrides, "dicts of dotted keys and values")
        section = run_config.resolve(config, overrides)["generator"]
        arguments = json.dumps(section, sort_keys=True, default=str)
        if arguments not in shapes:
            shapes[arguments] = _shape(section)
        fixed = {key: value for key, value in overrides.items() if not _may_vary(key)}
        group = json.dumps([fixed, shapes[arguments]], sort_keys=True, default=str)
        groups.setdefault(group, []).append(overrides)
    return [_ensemble(number, config, members) for number, members in enumerate(groups.values())]


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
    return Ensemble(_name(number, shared), shared, varied)


def _name(number: int, config: Config) -> str:
    """The name of a folder: the number, so that a listing keeps the order, and the components."""
    names = [config[kind]["name"].rpartition(".")[2] for kind in ("generator", "observer", "code")]
    if names[-1] == "prequential":  # the default
        names.pop()
    return "-".join([f"{number:02d}", *names])
