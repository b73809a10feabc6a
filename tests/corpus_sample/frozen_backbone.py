"""Every parameter of the only model is frozen by a top-level loop over an alias."""

import torch
from torch import nn

backbone = nn.Linear(6, 2)
frozen = backbone

for parameter in frozen.parameters():
    parameter.requires_grad_(False)


def embed(x):
    return backbone(x)


def step(x):
    loss = embed(x).sum()
    loss.backward()


if __name__ == "__main__":
    step(torch.rand(1, 6))
