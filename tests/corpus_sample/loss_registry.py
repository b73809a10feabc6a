"""Loss functions by name: the one that is looked up cuts the graph."""

import torch
from torch import nn

LOSSES = {}


def register(name):
    def add(function):
        LOSSES[name] = function
        return function

    return add


def accuracy_loss(logits, target):
    return 1 - (logits.argmax(dim=1) == target).float().mean()


def soft_loss(logits, target):
    return nn.functional.cross_entropy(logits, target)


LOSSES["accuracy"] = accuracy_loss
LOSSES["soft"] = soft_loss


def train_step(model, batch, target):
    loss = LOSSES["accuracy"](model(batch), target)
    loss.backward()
    return loss


train_step(nn.Linear(4, 2), torch.rand(3, 4), torch.tensor([0, 1, 1]))
