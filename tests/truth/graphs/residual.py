import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x + self.scale * self.second(torch.relu(self.first(x)))


net = nn.Sequential(Block(4), Block(4))
loss = net(torch.randn(2, 4)).sum()  # draw: loss
