"""One bit of a linear congruential generator.

Bit k repeats after 2^(k+1) tokens: a low bit is soon learned, a high one looks like noise, although
both contain no more information than the seed.

    python -m experiments.train --config=cipher:tiny --workdir=runs/lcg3
    python -m experiments.train --config=cipher --config.generator.low_bit=16 --workdir=runs/lcg16

All words of ChaCha20 from a seed of 16 bits, noise to an observer that cannot try all seeds:

    python -m experiments.train --config=cipher --config.generator.algorithm=chacha \\
        --config.generator.low_bit=0 --config.generator.shown_bits=0 \\
        --config.generator.key_bits=16 --workdir=runs/chacha20

Gohr's task on five rounds of Speck: two ciphertexts of 32 bits, and whether they are a real pair:

    python -m experiments.train --config=cipher --config.generator.algorithm=speck32_64 \\
        --config.generator.low_bit=0 --config.generator.shown_bits=0 \\
        --config.generator.rounds=5 --config.generator.mode=pairs \\
        --config.generator.length=65 --workdir=runs/speck5
"""

from configs import base


def get_config(size: str = "cpu") -> base.ConfigDict:
    """tiny: 10 s; cpu: a minute on 2 cores."""
    config = base.get_config(size)
    config.generator.name = "cipher"
    config.generator.algorithm = "lcg"
    config.generator.low_bit = 3
    config.generator.shown_bits = 1
    config.observer.width = {"tiny": 16, "cpu": 32, "paper": 64}[size]
    config.observer.depth = {"tiny": 1, "cpu": 2, "paper": 2}[size]
    return config
