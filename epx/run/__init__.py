"""Runs: from a config to rows on disk. `train` and `measure` load JAX on first use."""

_HOMES = {"train": "loop", "Progress": "loop", "RunError": "loop", "measure": "notebook"}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"epx.run.{_HOMES[name]}"), name)
