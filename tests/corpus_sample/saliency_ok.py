"""The same map, from the leaf and with retain_grad."""

import torch
from torch import nn

net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


def saliency(batch):
    pixels = torch.ones(2, 8, requires_grad=True)
    scaled = pixels * 2
    scaled.retain_grad()
    net(scaled + batch).sum().backward()
    return scaled.grad, pixels.grad


print(saliency(torch.rand(2, 8)))
