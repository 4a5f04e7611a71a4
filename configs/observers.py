"""The observer set epx-7: seven families at three sizes, so that numbers of different data compare.

A number that this set gives carries its name and version; a change of an observer, of its size or
of its rates raises the version. Sizes of a family are matched to the transformer of that size, by
the number of parameters (`SIZES`) or by the FLOPs to predict a token (`EQUAL_FLOPS`), both for a
vocabulary of 2 and examples of 64 tokens. At equal parameters the weight-tied family has 3.5 to 4
times the FLOPs of the transformer, and the others, without attention, 0.5 to 0.9 of them. Windows
and receptive fields cover 40 tokens or more. `counts` has no size but its order, which a study
chooses for its vocabulary. The exact `oracle` is not of the set: it is not a learner.
"""

from typing import Any

NAME, VERSION = "epx-7", 1
TAG = f"{NAME}.{VERSION}"
FAMILIES = (
    "transformer", "looped", "convolution", "recurrent", "state_space", "mlp", "counts",
)  # fmt: skip

Keys = dict[str, Any]
SIZES: dict[str, dict[str, Keys]] = {
    "small": {
        "transformer": dict(depth=1, width=16, head_dim=16),
        "looped": dict(depth=1, loops=4, width=16, head_dim=16),
        "convolution": dict(depth=6, width=7),
        "recurrent": dict(depth=1, width=21),
        "state_space": dict(depth=1, width=14),
        "mlp": dict(depth=1, width=8, window=40),
    },
    "larger": {
        "transformer": dict(depth=2, width=32, head_dim=16),
        "looped": dict(depth=1, loops=4, width=44, head_dim=22),
        "convolution": dict(depth=6, width=19),
        "recurrent": dict(depth=2, width=44),
        "state_space": dict(depth=2, width=27),
        "mlp": dict(depth=2, width=21, window=40),
    },
    "paper": {
        "transformer": dict(depth=3, width=128, head_dim=64),
        "looped": dict(depth=1, loops=4, width=220, head_dim=55),
        "convolution": dict(depth=6, width=91),
        "recurrent": dict(depth=2, width=220),
        "state_space": dict(depth=3, width=108),
        "mlp": dict(depth=3, width=96, window=40),
    },
}
EQUAL_FLOPS: dict[str, dict[str, Keys]] = {
    "small": {
        "transformer": SIZES["small"]["transformer"],
        "looped": dict(depth=1, loops=2, width=10, head_dim=10),
        "convolution": dict(depth=6, width=8),
        "recurrent": dict(depth=1, width=29),
        "state_space": dict(depth=1, width=17),
        "mlp": dict(depth=1, width=10, window=40),
    },
    "larger": {
        "transformer": SIZES["larger"]["transformer"],
        "looped": dict(depth=1, loops=2, width=32, head_dim=16),
        "convolution": dict(depth=6, width=21),
        "recurrent": dict(depth=2, width=52),
        "state_space": dict(depth=2, width=31),
        "mlp": dict(depth=2, width=24, window=40),
    },
    "paper": {
        "transformer": SIZES["paper"]["transformer"],
        "looped": dict(depth=1, loops=3, width=128, head_dim=64),
        "convolution": dict(depth=6, width=94),
        "recurrent": dict(depth=2, width=230),
        "state_space": dict(depth=3, width=112),
        "mlp": dict(depth=3, width=100, window=40),
    },
}


def overrides(family: str, size: str, sizes: dict[str, dict[str, Keys]] = SIZES) -> dict[str, Any]:
    """The overrides of a run that make its observer this one of the set."""
    keys = {f"observer.{key}": value for key, value in sizes[size][family].items()}
    return {"observer.name": family, **keys, "label.observer": label(family, size)}


def label(family: str, size: str) -> str:
    """The name of an observer of the set in tables and figures."""
    return f"{family.replace('_', ' ')}, {size}"


def names() -> list[str]:
    """The names of the whole set, family by family, from small to large."""
    sized = {family: [label(family, size) for size in SIZES] for family in FAMILIES}
    return [name for family in FAMILIES for name in (sized | {"counts": ["counts"]})[family]]
