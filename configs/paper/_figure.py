"""What the figures of the paper have in common: two sizes, and the recipe of its tasks."""

from ml_collections import ConfigDict

from configs import base

SIZES = ("cpu", "paper")


def get_config(name: str, size: str) -> ConfigDict:
    """The base config of a figure, with the recipe of arXiv 2601.03220, appendix B.

    Raises:
      SizeError: a size that is not in SIZES.
    """
    base.require_size(size, SIZES)
    config = base.get_config(size)
    config.figure = dict(name=name, size=size)
    config.optim.update(lr=0.03, warmup_steps=100, ema_steps=50)
    config.checkpoint.keep = 1
    if size == "paper":
        config.observer.activation = "gelu_erf"
        config.run.require_accelerator = True
    return config
