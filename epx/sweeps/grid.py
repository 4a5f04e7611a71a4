"""A sweep is a list of dotted overrides; an ensemble is one config and the overrides that its
members vary. `product`, `zipped` and `chain` write such lists; `assemble` turns them into a run."""

import copy
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax

from epx import streams
from epx.learning import optim
from epx.run import config as components
from epx.run.plan import Plan, Setup, check_shapes

Overrides = dict[str, Any]
DTYPES = ("float32", "bfloat16")
TUNING_SEED = 1000  # apart from those that are measured


class Ensemble(NamedTuple):
    """One record of a sweep: its folder, the config that its members share, and what they vary."""

    name: str
    config: dict[str, Any]
    members: list[Overrides]


def tuned(
    name: str,
    config: dict[str, Any],
    label: dict[str, str],
    worlds: Sequence[Overrides],
    rates: Sequence[float],
    seeds: int,
    tune: bool,
) -> Ensemble:
    """An ensemble whose learning rate was chosen from several, by the shortest S + H.

    Args:
      name: of its folder.
      config: its sections; `optim.lr` is the rate that was chosen.
      label: what tables and figures call its `world` and `observer`; words in braces are their
        keys. Members may vary `label.world`.
      worlds: what tells its worlds from each other.
      rates: those it was chosen from.
      seeds: how many are measured, from 0 on.
      tune: instead, every rate on TUNING_SEED.
    """
    if tune:
        each = product(vary("optim.lr", rates), vary("run.seed", [TUNING_SEED]))
    else:
        each = vary("run.seed", range(seeds))
    sections = {
        **config,
        "run": config["run"] | {"seeds": 1 if tune else seeds},
        "label": label,
        "tuning": {"rates": rates, "seed": TUNING_SEED, "chosen_by": "smallest S + H"},
    }
    return Ensemble(name, sections, product(worlds, each))


def vary(key: str, values: Iterable[Any]) -> list[Overrides]:
    """One override for each value of a key.

    >>> vary("run.seed", range(2))
    [{'run.seed': 0}, {'run.seed': 1}]
    """
    return [{key: value} for value in values]


def product(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """Every combination, the last varying fastest.

    >>> product(vary("optim.lr", [0.1, 0.2]), vary("run.seed", [7]))
    [{'optim.lr': 0.1, 'run.seed': 7}, {'optim.lr': 0.2, 'run.seed': 7}]
    """
    return [functools.reduce(dict.__or__, parts, {}) for parts in itertools.product(*sweeps)]


def zipped(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """Sweeps of equal length side by side. Raises ValueError where their lengths differ."""
    return [functools.reduce(dict.__or__, parts, {}) for parts in zip(*sweeps, strict=True)]


def chain(*sweeps: Sequence[Overrides]) -> list[Overrides]:
    """One sweep after the other."""
    return list(itertools.chain(*sweeps))


def override(config: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    """A copy of a resolved config with dotted keys replaced.

    Raises:
      ValueError: a key that the config does not have.
    """
    config = copy.deepcopy(config)
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        if key not in config.get(section, {}):
            known = [f"{s}.{k}" for s, keys in config.items() for k in keys]
            raise ValueError(f"{dotted}: no such key; {components.suggest(dotted, known)}")
        config[section][key] = value
    return config


def assemble(config: dict[str, Any], members: Sequence[Overrides] | None = None) -> Setup:
    """The run that a config describes.

    Args:
      config: sections of plain values as in `configs/base.py`; arguments of the world, observer
        and code may be left out and take their defaults.
      members: what the members of the ensemble vary: `run.seed`, any key of `optim`, keys of
        `generator` that do not change shapes, and `label`. None varies the seed, `run.seeds` times.

    Raises:
      ValueError: a key or value that is not accepted, before anything is compiled.
    """
    kinds = components.FOLDERS
    config = {**config, **{kind: components.complete(kind, config[kind]) for kind in kinds}}
    run = config["run"]
    if members is None:
        if run["seeds"] < 1:
            raise ValueError(f"run.seeds={run['seeds']}: must be at least 1")
        members = vary("run.seed", range(run["seed"], run["seed"] + run["seeds"]))
    if run["dtype"] not in DTYPES:
        raise ValueError(f"run.dtype={run['dtype']}: accepted are {', '.join(DTYPES)}")
    if run["require_accelerator"] and jax.default_backend() == "cpu":
        raise ValueError("run.require_accelerator=True, but JAX finds only a CPU")
    plan = _plan(config)
    _check_varied(members)
    varied = [override(config, member) for member in members]
    for one in varied:
        _check_label(one)
    hypers = [optim.hyper(one["run"]["seed"], **one["optim"]) for one in varied]
    generators = [
        components.make("generator", one["generator"], key=streams.stream(hyper.seed, "world"))
        for one, hyper in zip(varied, hypers)
    ]
    check_shapes(generators)
    spec = generators[0].spec
    observer = components.make(
        "observer", config["observer"], vocab=spec.vocab, length=spec.length, dtype=run["dtype"]
    )

    def code(observer, batch):
        return components.make("code", config["code"], observer=observer, batch=batch)

    return Setup(generators, hypers, observer, code, plan, config | {"members": list(members)})


def _check_varied(members: Sequence[Overrides]) -> None:
    for key in {key for member in members for key in member}:
        section, _, name = key.partition(".")
        free = section in ("optim", "generator", "label") and name != "name"
        if key != "run.seed" and not free:
            raise ValueError(
                f"{key}: members of an ensemble share it; accepted are run.seed, label.world, keys "
                "of optim, and those of generator that leave all shapes alone"
            )


def _check_label(config: dict[str, Any]) -> None:
    for name, label in config.get("label", {}).items():
        try:
            label.format(**config[{"world": "generator"}.get(name, name)])
        except (LookupError, ValueError, AttributeError) as error:
            raise ValueError(
                f"label.{name}={label!r}: accepted are world and observer, texts with keys of "
                f"generator or observer in braces ({error!r})"
            ) from None


def _plan(config: dict[str, Any]) -> Plan:
    run, evaluation, saving = config["run"], config["eval"], config["checkpoint"]
    taken = ("steps", "batch", "microbatch", "chunk", "parallel", "devices", "repeats")
    return Plan(
        **{key: run[key] for key in taken},
        examples=run.get("examples"),  # which older records do not have
        eval_every=evaluation["every"],
        eval_examples=evaluation["examples"],
        test_tokens=evaluation["test_tokens"],
        checkpoint_every=saving["every"],
        keep=saving["keep"],
    )
