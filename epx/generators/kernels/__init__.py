"""Array kernels that generators share."""
