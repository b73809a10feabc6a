"""A stand-in for deepspeed on one CPU: the engine is the model, and steps and clears by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class _Engine(nn.Module):
    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self.module = model
        self.optimizer = optimizer

    def forward(self, *args: Any, **options: Any) -> Any:
        return self.module(*args, **options)

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def initialize(
    args: Any = None, model: Any = None, optimizer: Any = None, model_parameters: Any = None, **options: Any
) -> tuple[Any, Any, Any, Any]:
    """Engine, optimizer, loader, scheduler."""
    optimizer = optimizer or torch.optim.SGD(model_parameters or model.parameters(), lr=0.01)
    return _Engine(model, optimizer), optimizer, None, None
