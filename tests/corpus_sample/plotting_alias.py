"""numpy under another name, far from where the tensor is made."""

import numpy as xp
import torch
from torch import nn

model = nn.Linear(3, 3)


def forward(x):
    return model(x)


def histogram(values, bins):
    return xp.histogram(values, bins=bins)


def summary():
    output = forward(torch.ones(2, 3))
    values = xp.asarray(output)
    return histogram(values, 10)


def unrelated(text):
    return text.strip().lower()


print(summary())
