"""What a worker of a gloo group does first.

It is in a module of its own because it is pickled by name, and every `conftest` has the same one.
"""

from __future__ import annotations

from datetime import timedelta

import torch


def join(rank: int, meeting: str) -> None:
    """Join the group as the worker of a rank; meeting is a file that both can reach."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
