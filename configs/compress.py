"""The config of `experiments.compress`: bytes in examples of 16, in batches of 8.

Both sides need the same config.
"""

from configs import base


def get_config(size: str = "cpu"):
    config = base.get_config(size)
    config.generator.update(name="iid", law="uniform", vocab=256, length=16)
    config.observer.update(depth=2, width=64)
    config.optim.update(lr=0.4, warmup_steps=10)
    config.run.update(batch=8)
    return config
