"""Array kernels shared by generators."""
