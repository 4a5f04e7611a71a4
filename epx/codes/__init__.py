"""Codes: how bits are charged during training, `make(observer, batch, ...) -> Code`."""
