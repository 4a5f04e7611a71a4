"""The data of the atlas, and the rates at which each observer of epx-7 learns them.

Rates are chosen for each kind of data by the shortest description S + H, on a seed of their own, by
`configs/studies/observers/rates.py`; the choice is `rates.json` beside this file.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from configs import observers
from epx.types import require

CHOSEN = Path(__file__).with_name("rates.json")


class Data(NamedTuple):
    """Data of the atlas.

    Attributes:
      label: its name in figures.
      kind: data of one kind share their rates; tuned on the first of the kind.
      generator: keys of the generator.
      batch, steps: of the training.
      examples: held out.
      order: of the exact counter.
    """

    label: str
    kind: str
    generator: dict[str, Any]
    batch: int = 32
    steps: int = 500
    examples: int = 2048
    order: int = 8

    @property
    def has_law(self) -> bool:
        """Whether the oracle knows its law: of real data nobody does."""
        return self.generator["name"] not in ("text", "chess")


def _eca(rule: int) -> Data:
    generator = dict(name="eca", rule=rule, width=32, steps=16, burnin=64)
    return Data(f"automaton, rule {rule}", "automaton", generator)


def _lcg(bit: int) -> Data:
    generator = dict(name="cipher", algorithm="lcg", key_bits=16, low_bit=bit, shown_bits=1)
    return Data(f"LCG, bit {bit}", "LCG", generator | {"length": 64})


_TEXT = dict(name="text", corpus="pydoc", length=64)
_CHESS = dict(
    name="chess", corpus="selfplay-greedy", games=14_500, plies=8, result=False, rows="game",
    length=104,
)  # fmt: skip
# Bit 6 of an LCG has a period of 128: seven of its values tell the place.
CLOCK = _lcg(6)
LIFE = Data("Life, next frame", "Life", dict(name="life", height=6, width=6, burnin=8))
DATA = (
    LIFE,
    _eca(54),
    _eca(15),
    _eca(30),
    _eca(110),
    _lcg(3),
    _lcg(12),
    Data("ChaCha20", "noise", dict(name="cipher", algorithm="chacha", key_bits=16, length=64)),
    Data("Markov chain", "Markov", dict(name="iid", law="markov", vocab=8, length=64), order=2),
    Data("English", "text", _TEXT, order=2),
    Data("chess", "chess", _CHESS, examples=1408, steps=400, order=3),
    Data("coin flips", "noise", dict(name="iid", law="uniform", length=64)),
    Data("a constant", "constant", dict(name="iid", law="repeat", period=1, length=64)),
    Data("English, shuffled", "text", _TEXT | {"shuffled": True}, order=2),
)


def overrides(data: Data) -> dict[str, Any]:
    """The overrides of a run on this data, whoever learns it."""
    keys = {f"generator.{key}": value for key, value in data.generator.items()}
    sizes = {
        "run.batch": data.batch, "run.steps": data.steps, "eval.examples": data.examples
    }  # fmt: skip
    return keys | sizes | {"label.generator": data.label}


def rate(data: Data, family: str, size: str) -> float:
    """The chosen learning rate.

    Raises:
      ValueError: it has not been chosen yet.
    """
    chosen = json.loads(CHOSEN.read_text()).get(data.kind, {})
    name = observers.label(family, size)
    accepted = f"observers with a rate for {data.kind} in {CHOSEN.name}: --sweep=rates --tune first"
    require("observer", name, name in chosen, accepted)
    return chosen[name]
