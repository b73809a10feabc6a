"""A stand-in for transformers: the training loop of its Trainer on one CPU."""

from __future__ import annotations

from typing import Any

import torch


class TrainingArguments:
    """Forgets all options."""

    def __init__(self, output_dir: str = "", **options: Any) -> None:
        pass


class Trainer:
    """One epoch over the examples, one by one."""

    def __init__(self, model: Any = None, args: Any = None, train_dataset: Any = (), **options: Any) -> None:
        self.model, self.train_dataset = model, train_dataset

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **options: Any) -> Any:
        outputs = model(**inputs)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def train(self) -> None:
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        for example in self.train_dataset:
            inputs = {name: value[None] for name, value in example.items()}
            loss = self.compute_loss(self.model, inputs)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
