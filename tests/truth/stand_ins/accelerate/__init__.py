"""A stand-in for accelerate on one CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Accelerator:
    """`accumulate` steps every `gradient_accumulation_steps` times, by making the optimizers wait."""

    def __init__(self, gradient_accumulation_steps: int = 1, **options: Any) -> None:
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.sync_gradients = True
        self.device = torch.device("cpu")
        self.is_main_process = True
        self._count = 0

    def prepare(self, *things: Any) -> Any:
        made = tuple(_Optimizer(self, t) if isinstance(t, torch.optim.Optimizer) else t for t in things)
        return made if len(made) > 1 else made[0]

    def backward(self, loss: Any, **options: Any) -> None:
        (loss / self.gradient_accumulation_steps).backward(**options)

    @contextmanager
    def accumulate(self, *models: nn.Module) -> Iterator[None]:
        self._count += 1
        self.sync_gradients = self._count % self.gradient_accumulation_steps == 0
        yield

    def clip_grad_norm_(self, parameters: Any, max_norm: float) -> Any:
        return nn.utils.clip_grad_norm_(parameters, max_norm)

    def gather_for_metrics(self, tensor: Any) -> Any:
        return tensor

    def unwrap_model(self, model: nn.Module) -> nn.Module:
        return model

    def print(self, *args: Any) -> None:
        print(*args)


class _Optimizer:
    def __init__(self, accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> None:
        self._accelerator, self._optimizer = accelerator, optimizer

    def step(self) -> None:
        if self._accelerator.sync_gradients:
            self._optimizer.step()

    def zero_grad(self) -> None:
        if self._accelerator.sync_gradients:
            self._optimizer.zero_grad()
