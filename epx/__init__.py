"""How much can a learner with a given amount of compute learn from this data?

    eca = epx.generator("eca", rule=54, width=8, steps=2)
    learner = epx.observer("transformer", eca, depth=1, width=16)
    measured = epx.measure(eca, learner, steps=200, batch=32)
    measured.structure_bits, measured.entropy_bits_per_tok

The first call that needs JAX loads it; records can be read without it.
"""

__version__ = "0.3.0"
__all__ = ["generator", "load", "measure", "meter", "observer"]

_HOMES = {
    "generator": "epx.run.notebook",
    "observer": "epx.run.notebook",
    "measure": "epx.run.notebook",
    "load": "epx.report.export",
    "meter": "epx.analysis.logs.meter",
}
_NAMES = {"meter": "Meter"}  # where the home has another name for it


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
