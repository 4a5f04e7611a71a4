"""Coders: the codes as bytes and bits that decode."""
