"""A stand-in for lightning: the automatic and the manual loop of its Trainer, and Fabric, on one CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class LightningModule(nn.Module):
    """Holds the trainer while it runs."""

    automatic_optimization = True

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_optimizers"] = []

    def optimizers(self) -> Any:
        made = self.__dict__["_optimizers"]
        return made[0] if len(made) == 1 else made

    def manual_backward(self, loss: torch.Tensor, **options: Any) -> None:
        if self.automatic_optimization:
            raise RuntimeError("to use manual_backward, please disable automatic optimization")
        loss.backward(**options)

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def log(self, name: str, value: Any, **options: Any) -> None:
        pass

    def log_dict(self, values: dict[str, Any], **options: Any) -> None:
        pass


class Trainer:
    """Options are taken and forgotten, but for `max_epochs`."""

    def __init__(self, max_epochs: int = 1, **options: Any) -> None:
        self.max_epochs = max_epochs

    def fit(self, model: LightningModule, train: Iterable[Any], val: Iterable[Any] | None = None) -> None:
        made = model.configure_optimizers()
        made = made["optimizer"] if isinstance(made, dict) else made
        model.__dict__["_optimizers"] = list(made) if isinstance(made, (list, tuple)) else [made]
        for _ in range(self.max_epochs):
            model.train()
            for index, batch in enumerate(train):
                self._step(model, batch, index)
            if val is not None:
                self._evaluate(model, val, "validation")

    def validate(self, model: LightningModule, loader: Iterable[Any]) -> None:
        self._evaluate(model, loader, "validation")

    def predict(self, model: LightningModule, loader: Iterable[Any]) -> list[Any]:
        return self._evaluate(model, loader, "predict")

    def _step(self, model: LightningModule, batch: Any, index: int) -> None:
        result = model.training_step(batch, index)
        if not model.automatic_optimization:
            return
        loss = result["loss"] if isinstance(result, dict) else result
        if not isinstance(loss, torch.Tensor) and loss is not None:
            raise RuntimeError("In automatic optimization, `training_step` must return a Tensor, a dict, or None")
        (optimizer,) = model.__dict__["_optimizers"]
        optimizer.zero_grad()
        if loss is not None:
            model.backward(loss)
        optimizer.step()

    @torch.no_grad()
    def _evaluate(self, model: LightningModule, loader: Iterable[Any], phase: str) -> list[Any]:
        model.eval()
        found = [getattr(model, f"{phase}_step")(batch, index) for index, batch in enumerate(loader)]
        end = getattr(model, f"on_{phase}_epoch_end", None)
        if end is not None:
            end()
        return found


class Fabric:
    """Wraps nothing, as there is one CPU."""

    def __init__(self, **options: Any) -> None:
        pass

    def launch(self) -> None:
        pass

    def setup(self, module: nn.Module, *optimizers: Any) -> Any:
        return (module, *optimizers) if optimizers else module

    def setup_dataloaders(self, *loaders: Any) -> Any:
        return loaders if len(loaders) > 1 else loaders[0]

    def backward(self, tensor: torch.Tensor, **options: Any) -> None:
        tensor.backward(**options)

    def clip_gradients(self, module: nn.Module, optimizer: Any, max_norm: float) -> Any:
        return nn.utils.clip_grad_norm_(module.parameters(), max_norm)
