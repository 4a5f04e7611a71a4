"""Sequences of a known law: independent, Markov, linear, chaotic, and of ciphers."""
