"""A star import may bind any name, so nothing is known of `build`."""

import torch
from helpers import *  # noqa: F403


def loss_of(batch):
    return build(batch).mean()  # noqa: F405


def train(batch):
    loss = loss_of(batch)
    loss.backward()


train(torch.rand(2, 2))
