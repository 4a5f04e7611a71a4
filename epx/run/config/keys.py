"""The keys of a config: their types, and overrides of them.

The keys of `generator`, `observer` and `code` are the arguments of their modules' `make`; KEYS has
all others. Needs no JAX.
"""

import json
from typing import Any

from epx.run.config import components
from epx.run.config.components import FOLDERS
from epx.run.config.values import check_key, convert
from epx.types import refusal, require

Config = dict[str, dict[str, Any]]  # sections of plain values
Overrides = dict[str, Any]  # dotted keys and their values

# The keys of the other sections and their types. `configs/base.py` has units and meanings.
KEYS: dict[str, Any] = {
    "optim.lr": float,
    "optim.warmup_steps": float,
    "optim.b1": float,
    "optim.b2": float,
    "optim.eps": float,
    "optim.clip_norm": float,
    "optim.ema_steps": float,
    "run.seed": int,
    "run.seeds": int,
    "run.steps": int,
    "run.batch": int,
    "run.microbatch": int | None,
    "run.chunk": int,
    "run.parallel": str,
    "run.devices": int | None,
    "run.dtype": str,
    "run.repeats": int,
    "run.examples": int | None,
    "run.turns": int,
    "run.start": str | None,
    "run.start_keeps": str,
    "run.distributed": bool,
    "run.require_accelerator": bool,
    "adapter.rank": int | None,
    "adapter.alpha": float,
    "adapter.entries": int | None,
    "eval.every": int | None,
    "eval.examples": int,
    "eval.test_tokens": float | None,
    "eval.rulers": bool,
    "eval.against": int | None,
    "checkpoint.every": int | None,
    "checkpoint.keep": int | None,
}
# Sections without fixed keys: names in tables, how a learning rate was chosen, and the figure that
# the records are for.
FREE_SECTIONS = ("label", "tuning", "figure")


def resolve(config: Config, overrides: Overrides) -> Config:
    """A copy of a config with the overrides applied and all arguments of its components.

    Args:
      config: sections of plain values; arguments of components may be left out.
      overrides: dotted keys and values; a text is converted to the key's type. A new name replaces
        the keys of its section by its defaults.

    Raises:
      ValueError: a key that does not exist, or a value of another type.
    """
    config = {section: dict(values) for section, values in config.items()}
    for kind in FOLDERS:
        section = config.setdefault(kind, {})
        given = section.get("name", components.DEFAULTS.get(kind, ""))
        name = overrides.get(f"{kind}.name", given)
        same = name == given
        config[kind] = components.complete(kind, section if same else {"name": name})
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        if section in FREE_SECTIONS:
            config.setdefault(section, {})[key] = value
            continue
        if section not in config:
            raise refusal(dotted, value, f"keys of the sections {', '.join(config)}")
        known = config[section]
        named = f" with {section}.name={known['name']}" if section in FOLDERS else ""
        check_key(dotted, value, known, named)
        known[key] = convert(dotted, value, key_type(config, section, key))
    for section in FREE_SECTIONS:
        for key, value in config.get(section, {}).items():
            try:
                json.dumps(value, allow_nan=False)  # the record holds it
            except (TypeError, ValueError) as error:
                accepted = "a text, a number or a list of them"
                raise refusal(f"{section}.{key}", value, accepted) from error
    return config


def check_types(config: Config) -> Config:
    """A copy of a resolved config whose values have the types of their keys.

    Raises:
      ValueError: a section or a key is missing, or a value has another type.
    """
    given = {f"{section}.{key}" for section, values in config.items() for key in values}
    missing = sorted(KEYS.keys() - given)
    require("config", missing, not missing, "a config with all keys of configs/base.py")
    sections = [*FOLDERS, *dict.fromkeys(key.partition(".")[0] for key in KEYS), *FREE_SECTIONS]
    checked = {}
    for section, values in config.items():
        require(section, values, section in sections, f"the sections {', '.join(sections)}")
        checked[section] = dict(values)
        known = [key.partition(".")[2] for key in KEYS if key.startswith(f"{section}.")]
        for key, value in values.items():
            if known:
                check_key(f"{section}.{key}", value, known, f" in the section {section}")
            kind = key_type(config, section, key)
            checked[section][key] = convert(f"{section}.{key}", value, kind)
    return checked


def key_type(config: Config, section: str, key: str) -> Any:
    """The type of a key of a config; None if it is unknown."""
    if section not in FOLDERS:
        return KEYS.get(f"{section}.{key}")
    if key == "name":
        return str
    return components.type_of(components.arguments(section, config[section]["name"])[key])
