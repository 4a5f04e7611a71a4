"""The place of this process among the workers of Ray Train, where it is one of them.

JAX finds its place under SLURM by itself, and not under Ray. Imports neither Ray nor JAX.
"""

import socket
import sys


def place() -> tuple[str, int, int] | None:
    """The coordinator's address, the number of workers, and the number of this one, from 0.

    None in any other process. All workers must call it, as the first one tells the others.
    """
    ray_train = sys.modules.get("ray.train")
    if ray_train is None:
        return None
    try:
        context = ray_train.get_context()
    except RuntimeError:  # Ray Train is imported, but this is not one of its workers
        return None
    from ray.train import collective
    from ray.util import get_node_ip_address

    with socket.socket() as free:
        free.bind(("", 0))
        own = f"{get_node_ip_address()}:{free.getsockname()[1]}"
    address = collective.broadcast_from_rank_zero(own)
    return address, context.get_world_size(), context.get_world_rank()
