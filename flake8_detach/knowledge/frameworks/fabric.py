"""Lightning Fabric. Facts: its documentation and `lightning/fabric/fabric.py`, 2.6."""

from __future__ import annotations

from flake8_detach.knowledge.frameworks._kinds import BACKWARD, CONTEXT, PLAIN, SAME, STIR, Launcher

FABRIC = Launcher(
    made_by=(
        "lightning.Fabric",
        "lightning.fabric.Fabric",
        "lightning_fabric.Fabric",
        "lightning.fabric.fabric.Fabric",
    ),
    first="tensor",
    methods={
        "backward": BACKWARD,
        **dict.fromkeys(("setup", "setup_module", "setup_optimizers", "setup_dataloaders"), SAME),
        "clip_gradients": STIR,
        **dict.fromkeys(("autocast", "no_backward_sync", "sharded_model", "init_tensor", "init_module"), CONTEXT),
        "rank_zero_first": CONTEXT,
        **dict.fromkeys(("print", "log", "log_dict", "barrier", "save", "launch", "seed_everything"), PLAIN),
        **dict.fromkeys(("all_gather", "all_reduce", "broadcast"), PLAIN),
    },
)
