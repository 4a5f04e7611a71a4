"""Compressors as baselines: bounds on noise, and a packing that can be undone."""

import numpy as np
import pytest

from epx.analysis import compressors


@pytest.mark.parametrize("vocab", [2, 3, 100, 1000])
def test_compressors_shorten_repetition_but_not_noise(vocab):
    tokens = np.random.default_rng(0).integers(0, vocab, 20_000)
    noise = compressors.compressed_bits(tokens, vocab)
    constant = compressors.compressed_bits(np.zeros(20_000, int), vocab)
    for name in ("gzip_bits", "xz_bits"):
        assert noise[name] >= 20_000 * np.log2(vocab)
        assert constant[name] < 0.05 * noise[name]
    if vocab == 2:  # packed bits of noise cost little more than themselves
        assert noise["xz_bits"] < 1.05 * 20_000


def test_packing_is_reversible():
    tokens = np.random.default_rng(1).integers(0, 5, 1000)
    bits = np.unpackbits(np.frombuffer(compressors.pack(tokens, 5), np.uint8))[:3000]
    np.testing.assert_array_equal(bits.reshape(-1, 3) @ [4, 2, 1], tokens)
