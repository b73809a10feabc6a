"""A class is changed after its definition; what `forward` does is not what it says."""

import torch
from torch import nn


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, x):
        return self.linear(x).detach()


def connected(self, x):
    return self.linear(x)


Head.forward = connected


def train(x):
    loss = Head()(x).sum()
    loss.backward()


train(torch.rand(2, 4))
