"""Reports: from numbers to tables and figures, without JAX."""
