"""From a sweep to ensembles: runs of equal shapes share one compiled program and one record."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from epx import streams
from epx.run import config as configs
from epx.run.config import Config, Overrides
from epx.run.setup import member_shapes
from epx.types import refusal, require

# Sections that the members of an ensemble may vary, where all shapes stay alone.
_FREE = ("optim", "generator", "label")


class Ensemble(NamedTuple):
    """One record of a sweep.

    Attributes:
      name: of its folder.
      config: what its members share.
      members: what each of them varies.
      needs: names of the ensembles whose records must be complete first.
    """

    name: str
    config: Config
    members: list[Overrides]
    needs: tuple[str, ...] = ()


def ensembles(config: Config, sweep: Sequence[Overrides]) -> list[Ensemble]:
    """Groups a sweep by shape: one ensemble for each program that has to be compiled.

    Args:
      config: sections of plain values that all runs share.
      sweep: what each run overrides. Runs that give no `run.seed` have that of the config.

    Returns:
      Ensembles in the order in which they first occur, named by their number and their components.

    Raises:
      ValueError: an empty sweep, or a key or value that is not accepted.
    """
    require("sweep", list(sweep), len(sweep) > 0, "a list with at least one set of overrides")
    shapes: dict[str, str] = {}
    groups: dict[str, list[Overrides]] = {}
    for overrides in sweep:
        if not isinstance(overrides, dict):
            raise refusal("sweep", overrides, "dicts of dotted keys and values")
        section = configs.resolve(config, overrides)["generator"]
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
    """Structure, shapes and dtypes of the generator of a section, as text."""
    generator = configs.make("generator", section, key=streams.stream(0, "world"))
    leaves, structure = jax.tree.flatten(member_shapes(generator))
    return f"{structure} {leaves}"


def _ensemble(number: int, config: Config, members: list[Overrides]) -> Ensemble:
    """Moves what all members have in common into the config that they share."""
    keys = list(dict.fromkeys(key for member in members for key in member))
    common = {
        key: members[0][key]
        for key in keys
        if key != "run.seed" and all(m.get(key, m) == members[0].get(key) for m in members)
    }
    shared = configs.resolve(config, common)
    shared["run"]["seeds"] = len(members)
    seed = {"run.seed": shared["run"]["seed"]}
    varied = [seed | {k: v for k, v in m.items() if k not in common} for m in members]
    return Ensemble(_name(number, shared), shared, varied)


def _name(number: int, config: Config) -> str:
    """A folder's name: the number, so that a listing keeps the order, and the components."""
    names = [config[kind]["name"].rpartition(".")[2] for kind in ("generator", "observer", "code")]
    if names[-1] == "prequential":  # as it is wherever nothing else is said
        names.pop()
    return "-".join([f"{number:02d}", *names])
