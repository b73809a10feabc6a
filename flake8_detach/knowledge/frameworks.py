"""Names of training frameworks that matter to the engine."""

from __future__ import annotations

MODULES = frozenset(
    {
        "lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "lightning.pytorch.core.LightningModule",
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.core.LightningModule",
        "torch.nn.Module",
    }
)
"""Classes outside torch.nn whose subclasses are nn.Modules (their documentation says so)."""
