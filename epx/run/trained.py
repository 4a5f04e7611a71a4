"""What a record's run trained: its setup, and the weights of one of its saved states."""

from pathlib import Path
from typing import NamedTuple

import jax

from epx import record
from epx.record import Record, RecordError
from epx.run import checkpoint, provenance
from epx.run.references import Place
from epx.run.setup import Setup, assemble
from epx.types import Generator, Hyper, PyTree, State, require


class Trained(NamedTuple):
    """A member of a record.

    Attributes:
      setup: of the whole run.
      generator, hyper: of the member.
      state: saved, of the member.
      step: steps done in that state.
    """

    setup: Setup
    generator: Generator
    hyper: Hyper
    state: State
    step: int

    def params(self, weights: str = "ema") -> PyTree:
        """The observer's `raw` weights, or their average; a counter has no average."""
        raw = self.setup.observer.update or weights == "raw"
        return self.state.learner.params if raw else self.state.learner.ema


def load(folder: Path, member: int = 0, step: int | None = None) -> Trained:
    """A member of a record, as it was after some steps.

    Args:
      folder: of the record.
      member: number of the member.
      step: of a saved state; None is the newest.

    Raises:
      RecordError: there is no state, or it is damaged; the record was not made from a config, or
        its generator or observer has changed.
      ValueError: there is no such member, or no state of this step.
    """
    setup = assemble_again(record.load(folder))
    last = setup.members - 1
    require("member", member, 0 <= member <= last, f"0 to {last}, the record's members")
    steps = checkpoint.steps(folder / "ckpt")
    if not steps:
        raise RecordError(f"{folder} has no saved state")
    step = steps[-1] if step is None else step
    accepted = f"the steps of saved states, {', '.join(map(str, steps))}"
    require("step", step, step in steps, accepted)
    states = checkpoint.read(folder / "ckpt", step, setup.abstract_state())
    state = jax.tree.map(lambda leaf: leaf[member], states)
    return Trained(setup, *setup.member(member), state, step)


def assemble_again(trained: Record) -> Setup:
    """The setup of a record's run, on any devices.

    Raises:
      RecordError: as `load`.
    """
    config = dict(trained.config)
    facts, members = config.pop("facts"), config.pop("members", None)
    if members is None:
        raise RecordError(
            f"{trained.path} was made by measure() and has no config from which to repeat it"
        )
    # The weights are those of its states, whatever it started from, on any devices.
    anywhere = {
        "require_accelerator": False, "devices": None, "microbatch": None, "start": None,
        "distributed": False,
    }  # fmt: skip
    facts = {key: value for key, value in facts.items() if key not in provenance.START_FACTS}
    again = config | {"run": config["run"] | anywhere}
    setup = assemble(again, members, Place(records=trained.path.parent))
    changed = record.difference(facts, provenance.static_facts(setup))
    if changed:
        raise RecordError(
            f"{trained.path}: the generator or the observer has changed since training: {changed}"
        )
    return setup
