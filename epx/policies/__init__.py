"""Policies: the weights of a mixture in the next chunk, from the rows so far."""
