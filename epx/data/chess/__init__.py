"""Chess games on the host: read, played, and written as text."""
