"""See lightning."""

from lightning import LightningModule, Trainer

__all__ = ["LightningModule", "Trainer"]
