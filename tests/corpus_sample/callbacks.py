"""Work is handed over as functions."""

from functools import partial

import torch
from torch import nn


def scale(x, factor):
    return x * factor


double = partial(scale, factor=2)


def apply_all(functions, x):
    for function in functions:
        x = function(x)
    return x


def cut(x):
    return x.data


PIPELINE = [double, cut]


def objective(x):
    return apply_all(PIPELINE, x).sum()


def optimise():
    x = torch.ones(3, requires_grad=True)
    loss = objective(x)
    loss.backward()


optimise()
nn.Identity()
