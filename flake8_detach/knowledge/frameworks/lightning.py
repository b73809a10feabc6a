"""PyTorch Lightning. Facts: its documentation and `lightning/pytorch/core/module.py` and `loops`, 2.6."""

from __future__ import annotations

from flake8_detach.knowledge.frameworks._kinds import BATCH, Loop

MODULES = frozenset(
    {
        "lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "lightning.pytorch.core.LightningModule",
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.core.LightningModule",
    }
)

MODULE = Loop(
    name="Lightning",
    classes=MODULES,
    backwards="training_step",
    given=dict.fromkeys(("training_step", "validation_step", "test_step", "predict_step"), (BATCH,)),
    without_grad=(
        *("validation_step", "test_step", "predict_step"),
        *("on_validation_*", "on_test_*", "on_predict_*"),
        *("validation_step_end", "validation_epoch_end", "test_step_end", "test_epoch_end"),  # up to 1.9
    ),
    key="loss",
    unless="automatic_optimization",
    own=("backward", "training_step_end"),
    manual="manual_backward",
    notes=("log", "log_dict", "print", "save_hyperparameters"),
)
"""The whole evaluation loop runs under `no_grad` or in inference mode, so the hooks of it do, too. A training step may
return a tensor, a dict with "loss", or None, which skips the step."""
