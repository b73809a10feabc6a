"""The method is called by its name in a string."""

import torch

METHOD = "backward"


def make():
    return torch.ones(2).sum()


def call(value):
    return getattr(value, "backward")()  # noqa: B009


call(make())
