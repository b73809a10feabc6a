"""The cut sits in the base class, backward in the subclass."""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    @torch.no_grad()
    def encode(self, x):
        return self.linear(x)


class Unused(nn.Module):
    def forward(self, x):
        return x + 1


class Trainer(Encoder):
    def fit(self, x):
        loss = self.encode(x).pow(2).sum()
        loss.backward()
        return loss


if __name__ == "__main__":
    Trainer().fit(torch.rand(2, 4))
