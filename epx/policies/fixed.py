"""No policy: the weights of the config throughout."""


def make() -> None:
    """None: the generator is not changed."""
