"""Observers: one file is one family of learners, `make(vocab, length, ...) -> Observer`."""
