"""Every key of a config refuses what it cannot be, naming the key, the value and what is accepted,
before anything is compiled."""

import math
import re
import typing

import pytest

from epx.run import setup as setups
from epx.run.config import components
from epx.run.config import keys as configs
from epx.run.config.values import WORDS
from tests.generators import tiny

# Values out of range, of every argument of every component. Of yes-or-no arguments, another type.
GENERATORS = {
    "chess": {
        "corpus": ["gnubok"],
        "games": [-1, 1, 2**31],
        "skip": [-1, 2**31],
        "plies": [-1, 2**31],
        "notation": ["pgn"],
        "order": ["board_move"],
        "separators": [",;", ",,,,", "abc", "\n;|"],
        "result": ["maybe"],
        "rows": ["games"],
        "length": [0, 2**31],
    },
    "cipher": {
        "algorithm": ["rot13"],
        "rounds": [-1, 1],
        "key_bits": [-1, 65],
        "low_bit": [-1, 64],
        "shown_bits": [-1, 62],
        "bits_per_token": [0, 9],
        "length": [0, 2**31],
        "mode": ["block", "pairs"],
        "difference": [1, -1],
    },
    "eca": {
        "rule": [-1, 256],
        "width": [0, 2**31],
        "steps": [0, 2**31],
        "burnin": [-1, 2**31],
        "order": ["backward"],
        "hidden": [-1, 4],
        "loops": [0, 3],
        "coded": ["some"],
        "bos": ["maybe"],
    },
    "iid": {
        "law": ["normal"],
        "vocab": [0, 2**31],
        "length": [0, 2**31],
        "p": [-0.1, 1.1],
        "period": [0, 2**31],
    },
    "life": {
        "height": [0, 3, 2**31],
        "width": [0, 3, 2**31],
        "frames": [1, 2**31],
        "stride": [0, 2**31],
        "density": [-0.1, 1.1],
        "burnin": [-1, 2**31],
        "patch": [0, 5],
    },
    "arithmetic": {
        "operation": ["divide"],
        "digits": [0, 5],
        "notation": ["roman"],
        "labels": ["random"],
        "marked": [],
        "place": [-1, 3],
        "length": [-1, 2],
    },
    "story": {
        "length": [0],
        "successors": [0, 29],
        "letters": [0, 29],
        "order": [0, 4, 16],
    },
    "duplicated": {"of": ["nothing", "tokens path=none"], "distinct": [0, 2**31]},
    "verbose": {"of": ["nothing", "markov states=3 hidden=1 length=8"], "filler": [0, 2**20]},
    "linear": {
        "bits": [1, 257],
        "nonzeros": [-1, 4, 7],
        "order": ["backward"],
        "coded": ["some"],
    },
    "lorenz": {
        "system": ["rossler"],
        "bits": [0, 17],
        "time": [0.0, 2.5, 1e9],
        "inputs": ["maybe"],
    },
    "markov": {"states": [1, 27], "hidden": [-1, 4], "length": [1, 2**31]},
    "mixture": {
        "parts": ["eca rule", "nothing", "iid law", "iid vocab=1 law=none"],
        "weights": ["1", "0 0", "-1 2", "a b"],
        "held_out": ["1 0"],
        "size": [-1, 2**31],
        "block": [-1, 2**31],
        "even": [],
    },
    "game": {
        "game": ["go"],
        "player": ["best"],
        "view": ["boards"],
        "simulations": [0, 1025],
        "record": ["nowhere"],
    },
    "nca": {
        "states": [1, 257],
        "height": [2, 2**31],
        "width": [2, 2**31],
        "frames": [1, 2**31],
        "stride": [0, 2**31],
        "burnin": [-1, 2**31],
        "hidden": [0, 1025],
        "rules": ["some"],
    },
    "positions": {
        "corpus": ["zenn"],
        "games": [-1, 1, 2**31],
        "nodes": [0, 2**31],
        "task": ["worst"],
        "separators": [",;", "abc"],
        "length": [0, 9, 2**31],
    },
    "primes": {"digits": [0, 99], "order": ["backward"], "coded": ["some"]},
    "sampled": {
        "record": ["nowhere"],
        "like": ["nothing"],
        "temperature": [0.0, -1.0],
        "stream": [-1, 2**32],
        "given": [-1, 2**31],
    },
    "filtered": {
        "of": ["nothing"],
        "law": ["nothing", "cipher length=8"],
        "keeps": [-0.1, 1.1],
        "errs": [-0.1, 1.1],
        "tries": [0, 1025],
    },
    "text": {
        "corpus": ["zenn"],
        "direction": ["backward"],
        "unit": ["line"],
        "length": [0, 2**31],
        "words": [0, 2**31],
        "shuffled": [],
    },
    "tokens": {"path": ["", "none.npy"], "length": [-1, 2**31], "vocab": [-1, 1, 2**31]},
}
LARGE = [0, 2**31]
OBSERVERS = {
    "convolution": {"depth": [0, 21, 2**31], "width": LARGE, "activation": ["gelu"]},
    "mlp": {"depth": LARGE, "width": LARGE, "window": LARGE, "activation": ["gelu"]},
    "recurrent": {"depth": LARGE, "width": LARGE},
    "state_space": {"depth": LARGE, "width": LARGE, "activation": ["gelu"]},
    "counts": {"order": [-1, 28, 2**31], "alpha": [0.0, -1.0, 1e300]},
    "oracle": {},
    "residual": {"words": [0, 7, 2**31], "depth": LARGE, "filters": LARGE, "dense": LARGE},
    "looped": {
        "depth": [0, 2**31],
        "loops": [0, 257, 2**31],
        "width": [0, 2**31],
        "head_dim": [0, 3, 2**31],
        "activation": ["gelu"],
    },
    "transformer": {
        "depth": [0, 2**31],
        "width": [0, 2**31],
        "head_dim": [0, 3, 2**31],
        "activation": ["gelu"],
    },
}
CODES = {
    "blocks": {"first_block": [0, 17, 2**31], "stage_steps": [0, 2**31]},
    "epigen": {
        "buffer": [-1, 2**11],
        "learner_steps": [0, 2**11],
        "writer_rate": [-0.1, math.inf],
        "memory": [-0.1, 1.0],
    },
    "prequential": {"positions": ["maybe"], "charged": ["average"]},
    "replay": {"readers": [0, 2**20], "segment": [0, 2**31]},
    "requential": {
        "pacing": ["min_kl"],
        "max_kl": [-1.0],
        "first_projection": [0, 2**31],
        "projection_growth": [1.0, math.inf],
        "teacher_window": [-0.1, 1.1],
        "student_window": [-0.1, 1.1],
        "teacher_steps": [0, 2**31],
        "message": [0, 3, 2**31],
    },
}
COMPONENTS = {"generator": GENERATORS, "observer": OBSERVERS, "code": CODES}
KEYS = {
    "optim.lr": [0.0, -1.0, math.inf, 1e39],
    "optim.warmup_steps": [-1.0, math.inf],
    "optim.b1": [-0.1, 1.0],
    "optim.b2": [-0.1, 1.0],
    "optim.eps": [0.0, math.inf],
    "optim.clip_norm": [0.0, math.inf],
    "optim.ema_steps": [0.0, math.inf],
    "run.seed": [-1, 2**32, 2**64],
    "run.seeds": [0, 4097],
    "run.steps": [0, 2**28, 2**31],
    "run.batch": [0, 2**31],
    "run.microbatch": [0, 3],
    "run.chunk": [0, 2**31],
    "run.parallel": ["pmpa"],
    "run.devices": [0, 3, 99],
    "run.dtype": ["float31"],
    "run.repeats": [0, 2**31],
    "run.examples": [0, 2**31],
    "run.turns": [0, 2],  # not without run.examples
    "run.start": ["nowhere"],
    "run.start_keeps": ["head", ""],
    "run.distributed": [],
    "run.require_accelerator": [True],
    "adapter.rank": [0, 2**13],
    "adapter.alpha": [0.0, math.inf],
    "adapter.entries": [],  # without a rank none is accepted
    "eval.every": [0, 7],
    "eval.examples": [0, 2**31],
    "eval.test_tokens": [0.0, math.inf],
    "eval.rulers": [],  # both bools are accepted
    "eval.against": [-1, 0],  # not without parts
    "checkpoint.every": [0, 7],
    "checkpoint.keep": [0, 2**31],
}


def every_key():
    """Component, or None, and key; with its values out of range."""
    for kind, known in COMPONENTS.items():
        for name, arguments in known.items():
            for key, values in arguments.items():
                yield pytest.param(kind, name, f"{kind}.{key}", values, id=f"{name}.{key}")
    for key, values in KEYS.items():
        yield pytest.param(None, None, key, values, id=key)


EVERY_KEY = pytest.mark.parametrize(("kind", "name", "key", "values"), list(every_key()))


def refusal(config, kind, name, key, value):
    """The message with which a run with this value is refused."""
    config = {section: dict(values) for section, values in config.items()}
    if kind:
        small = tiny.arguments(name) if kind == "generator" else {}
        config[kind] = {"name": name} | small
    if name == "blocks":
        config["run"] |= {"examples": 16, "repeats": 1000}
    section, _, argument = key.partition(".")
    config[section][argument] = value
    with pytest.raises(ValueError) as raised:
        setups.assemble(config)
    message = str(raised.value)
    named = re.escape(f"{key}={value!r}: accepted ")
    assert re.fullmatch(rf"{named}[a-z0-9`].+", message) and len(message) < 500, message
    return message.partition(": accepted ")[2]


def kind_of(config, kind, name, key):
    section, _, argument = key.partition(".")
    config = config | ({kind: {"name": name}} if kind else {})
    return configs.key_type(config, section, argument)


def test_the_tables_hold_every_key():
    for kind, known in COMPONENTS.items():
        assert sorted(known) == components.names(kind)
        for name, arguments in known.items():
            assert sorted(arguments) == sorted(components.arguments(kind, name)), name
    assert list(KEYS) == list(configs.KEYS)


@EVERY_KEY
def test_a_value_out_of_range_is_refused(kind, name, key, values, tiny_config):
    for value in values:
        accepted = refusal(tiny_config, kind, name, key, value)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        assert not numeric or re.search(r"\d", accepted), "names no range"


@EVERY_KEY
def test_a_value_of_another_type_is_refused(kind, name, key, values, tiny_config):
    accepted = refusal(tiny_config, kind, name, key, [1])
    wanted = kind_of(tiny_config, kind, name, key)
    plain = [k for k in (typing.get_args(wanted) or (wanted,)) if k is not type(None)]
    assert accepted.removesuffix(" or none") == WORDS[plain[0]]
    if type(None) not in typing.get_args(wanted):
        refusal(tiny_config, kind, name, key, None)


@EVERY_KEY
def test_every_number_has_bounds(kind, name, key, values, tiny_config):
    wanted = kind_of(tiny_config, kind, name, key)
    if wanted in (int, int | None):
        for value in (10**30, -(10**30)):
            refusal(tiny_config, kind, name, key, value)
    elif wanted in (float, float | None):
        refusal(tiny_config, kind, name, key, math.nan)
