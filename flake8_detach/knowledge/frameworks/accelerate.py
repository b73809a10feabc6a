"""Hugging Face Accelerate. Facts: its documentation and `accelerate/accelerator.py`, 1.15."""

from __future__ import annotations

from flake8_detach.knowledge.frameworks._kinds import BACKWARD, CONTEXT, PLAIN, SAME, STIR, Launcher

ACCELERATOR = Launcher(
    made_by=("accelerate.Accelerator", "accelerate.accelerator.Accelerator"),
    first="loss",
    methods={
        "backward": BACKWARD,
        **dict.fromkeys(("prepare", "prepare_model", "prepare_optimizer", "prepare_data_loader", "unwrap_model"), SAME),
        "clip_grad_norm_": "torch.nn.utils.clip_grad_norm_",
        "clip_grad_value_": "torch.nn.utils.clip_grad_value_",
        **dict.fromkeys(("accumulate", "no_sync", "autocast", "join_uneven_inputs", "profile"), CONTEXT),
        **dict.fromkeys(("main_process_first", "local_main_process_first"), CONTEXT),
        "unscale_gradients": STIR,
        **dict.fromkeys(("print", "log", "wait_for_everyone", "init_trackers", "end_training"), PLAIN),
        **dict.fromkeys(("save_state", "save_model", "save", "register_for_checkpointing", "get_state_dict"), PLAIN),
        **dict.fromkeys(("gather", "gather_for_metrics", "reduce", "pad_across_processes"), PLAIN),
    },
)
"""What `prepare` makes of a scheduler steps only when the optimizer has stepped: no plain scheduler."""
