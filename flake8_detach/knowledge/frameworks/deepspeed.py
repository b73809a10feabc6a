"""DeepSpeed. Facts: its documentation and `deepspeed/__init__.py`, `deepspeed/runtime/engine.py`, 0.19."""

from __future__ import annotations

from flake8_detach.knowledge.frameworks._kinds import BACKWARD, PLAIN, STEP, Launcher

INITIALIZE = "deepspeed.initialize"
PARAMETERS = ("args", "model", "optimizer", "model_parameters", "training_data", "lr_scheduler")
"""The first parameters of `initialize`. It gives back engine, optimizer, data loader and scheduler."""

ENGINE = Launcher(
    made_by=(),
    first="loss",
    methods={
        "backward": BACKWARD,
        "step": STEP,
        **dict.fromkeys(("save_checkpoint", "load_checkpoint", "save_16bit_model", "allreduce_gradients"), PLAIN),
    },
)
"""The engine is called like the model and has its attributes."""
