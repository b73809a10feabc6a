"""Metrics on numpy arrays and one on a tensor that still has its graph."""

import numpy as np
import torch
from torch import nn


def mean_absolute_error(prediction, target):
    return float(np.abs(prediction - target).mean())


class Recorder:
    def __init__(self):
        self.values = []

    def add(self, value):
        self.values.append(value)

    def table(self):
        return np.stack(self.values)


def evaluate(model, x, y):
    recorder = Recorder()
    with torch.no_grad():
        recorder.add(model(x).numpy())
    recorder.add(y.numpy())
    return recorder.table()


def debug(model, x):
    hidden = model(x)
    return mean_absolute_error(hidden.cpu().numpy(), 0)


network = nn.Linear(2, 2)
evaluate(network, torch.rand(3, 2), torch.rand(3, 2))
debug(network, torch.rand(3, 2))
