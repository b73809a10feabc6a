"""A global list is filled in one function and converted in another."""

import numpy as np
import torch
from torch import nn

HISTORY = []
CRITERION = nn.MSELoss()


def remember(loss):
    HISTORY.append(loss)


def train(net, batches):
    optimizer = torch.optim.Adam(net.parameters())
    for x, y in batches:
        optimizer.zero_grad()
        loss = CRITERION(net(x), y)
        remember(loss)
        loss.backward()
        optimizer.step()


def curve():
    return np.mean([loss.detach().numpy() for loss in HISTORY])


def first_weight(net):
    return net.weight.numpy()


network = nn.Linear(2, 1)
train(network, [(torch.rand(4, 2), torch.rand(4, 1))])
print(curve(), first_weight(network))
