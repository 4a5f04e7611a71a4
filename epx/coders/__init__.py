"""How a code is really sent: bytes and bits that decode."""
