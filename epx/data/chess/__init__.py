"""Chess games on the host: reading, playing and writing them."""
