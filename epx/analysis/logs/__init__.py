"""Logs of other programs: their tables, their charges, and S and H of one training."""
