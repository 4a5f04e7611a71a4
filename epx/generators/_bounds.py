"""Bounds that all generators share, each with its reason."""

from epx.types import require, require_whole

# An example is made whole, and a batch of them at once: 2^20 tokens are 5 MiB an example.
MAX_LENGTH = 2**20
# Steps of an automaton are made one after another: 2^20 take up to seconds for an example.
MAX_STEPS = 2**20


def require_length(key: str, value: int, length: int) -> None:
    """Refuses `key=value` if it makes examples of more than `MAX_LENGTH` tokens."""
    accepted = (
        f"examples of at most {MAX_LENGTH:,} tokens (this one has {length:,}): a batch of them"
    )
    require(key, value, length <= MAX_LENGTH, accepted + " is held in memory")


def require_steps(key: str, value: int, least: int) -> None:
    """Refuses `key=value` unless it is a number of steps that every example can simulate."""
    require_whole(key, value, least, MAX_STEPS, "each example simulates them one after another")
