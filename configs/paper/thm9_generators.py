"""Theorem 9: a secure generator is noise without structure, though its seed is short.

    python -m experiments.sweep --sweep=paper/thm9_generators --workdir=runs/thm9

Claim 19; 9 minutes on 2 cores. Streams of ChaCha20 from short seeds, beside weak generators, whose
low bits have structure, and two controls: coin flips, and a block that repeats. Expected: H of
ChaCha20 is a bit for each bit and its S that of coin flips, though 64 bits of it hold 16 bits of
entropy. The size is enough because the same observer finds the structure of the weak generator.
Larger observers see more streams than 16 bits have, so that `paper` has seeds of 32 bits.
"""

from collections.abc import Sequence
from typing import Any

from configs.paper import _figure
from epx.report import evidence
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    19: "ChaCha20 with a short seed costs a bit for each bit and has no structure; a weak "
    "generator has some, and a repeated block a little"
}
KEY_BITS = {"cpu": 16, "paper": 32}
STREAMS = {
    "ChaCha20": dict(name="cipher", algorithm="chacha", length=64),
    "LCG, bit 3": dict(name="cipher", algorithm="lcg", shown_bits=1, low_bit=3, length=64),
    "LCG, bit 16": dict(name="cipher", algorithm="lcg", shown_bits=1, low_bit=16, length=64),
    "coin flips": dict(name="iid", law="uniform", length=64),
    "block of 8, repeated": dict(name="iid", law="repeat", period=8, length=64),
}


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("thm9_generators", size)
    config.generator.name = "iid"
    paper = size == "paper"
    config.observer.update(depth=3 if paper else 2, width=256 if paper else 32)
    config.code.name = "requential"
    config.run.update(batch=1536 if paper else 64, steps=10_000 if paper else 800)
    config.eval.examples = 16_384 if paper else 4096
    config.checkpoint.every = 400
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Five streams under one observer."""
    streams = [
        {f"generator.{key}": value for key, value in arguments.items()} | {"label.generator": label}
        for label, arguments in STREAMS.items()
    ]
    bits = KEY_BITS[size]
    streams[0] |= {
        "generator.key_bits": bits,
        "label.generator": f"ChaCha20, seed of {bits} bits",
    }
    return product(streams, vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """H per bit and S per coded bit of each stream."""
    run = {
        label: evidence.pick(runs, **{f"generator__{key}": value for key, value in keys.items()})
        for label, keys in STREAMS.items()
    }
    loss = {k: evidence.by_seed(v, evidence.entropy_bits_per_tok) for k, v in run.items()}
    per_tok = {
        label: evidence.by_seed(of, lambda m: evidence.structure_bits(m) / m.coded_tok)
        for label, of in run.items()
    }
    secure, weak, noise, block = "ChaCha20", "LCG, bit 3", "coin flips", "block of 8, repeated"
    return [
        Check(f"{secure}: H, bit per bit", evidence.mean(loss[secure]), 0.999, 1.001),
        Check(f"{secure}: S_req, bit per bit", evidence.mean(per_tok[secure]), high=1e-4),
        Check(f"{noise}: S_req, bit per bit", evidence.mean(per_tok[noise]), high=1e-4),
        Check(f"{weak}: S_req, bit per bit", evidence.mean(per_tok[weak]), 1e-3),
        Check(f"{block}: H, bit per bit", evidence.mean(loss[block]), 0.12, 0.13),
        Check(f"{block}: S_req, bit per bit", evidence.mean(per_tok[block]), high=0.05),
        Check(f"{block}: S_req - that of {noise}, bit per bit",
              evidence.difference(per_tok[block], per_tok[noise]), 0),
    ]  # fmt: skip
