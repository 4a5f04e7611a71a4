"""One file is one world: `make(key, **arguments) -> Generator`."""
