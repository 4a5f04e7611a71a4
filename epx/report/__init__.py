"""From numbers to tables and figures, without JAX."""
