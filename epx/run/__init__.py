"""From a config to rows on disk. `train` and `measure` load JAX when asked for."""


def __getattr__(name: str):
    if name in ("train", "measure", "RunError", "Progress"):
        from epx.run import loop

        return getattr(loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
