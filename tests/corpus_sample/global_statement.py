"""A module-level cache that a function replaces."""

import torch
from torch import nn

cache = None
net = nn.Linear(2, 2)


def refresh(x):
    global cache
    cache = net(x).detach()


def use():
    return cache


def train(x):
    refresh(x)
    target = use()
    loss = (net(x) - target).pow(2).mean()
    loss.backward()


def grad_of_inputs(x):
    x = torch.zeros(2, requires_grad=True)
    copy = x.detach()
    net(copy).sum().backward()
    return copy.grad


train(torch.rand(1, 2))
grad_of_inputs(None)
