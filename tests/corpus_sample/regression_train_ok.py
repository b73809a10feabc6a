"""The same script with a connected loss."""

import torch
from torch import nn


def make_data(count: int):
    x = torch.linspace(-1, 1, count).unsqueeze(1)
    return x, x**3 + 0.1 * torch.randn(count, 1)


def squared_error(prediction, target):
    return ((prediction - target) ** 2).mean()


def main():
    x, y = make_data(64)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        loss = squared_error(net(x), y)
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
