"""The helper is chosen when the module is imported; both choices cut the graph."""

import os

import torch
from torch import nn

if os.environ.get("FAST"):

    def score(logits):
        return logits.argmax(dim=1).float().mean()

else:

    def score(logits):
        return logits.round().detach().mean()


try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


def fit():
    net = nn.Linear(3, 3)
    value = score(net(torch.rand(2, 3)))
    value.backward()


fit()
