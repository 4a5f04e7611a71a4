"""Many runs: which, and how they are executed."""
