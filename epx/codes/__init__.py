"""Codes: how bits are charged while an observer learns, `make(observer, batch, ...) -> Code`."""
