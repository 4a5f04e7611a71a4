"""Generators: one file is one generator, `make(key, **arguments) -> Generator`."""
