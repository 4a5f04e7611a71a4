"""Bounds shared by all generators, with their reasons."""

from epx.types import require, require_whole

# A batch of examples is in memory at once: 2^20 tokens take 5 MiB per example.
MAX_LENGTH = 2**20
# Steps of an automaton are sequential: 2^20 of them take up to seconds per example.
MAX_STEPS = 2**20


def require_length(key: str, value: int, length: int) -> None:
    """Refuse `key=value` if its examples have more than `MAX_LENGTH` tokens."""
    accepted = (
        f"examples of at most {MAX_LENGTH:,} tokens (this one has {length:,}): a batch of them"
    )
    require(key, value, length <= MAX_LENGTH, accepted + " is held in memory")


def require_steps(key: str, value: int, least: int) -> None:
    """Refuse `key=value` unless it is a number of steps from `least` to `MAX_STEPS`."""
    require_whole(key, value, least, MAX_STEPS, "each example simulates them one after another")
