"""A regression script whose loss is computed by a helper that detaches."""

import torch
from torch import nn

EPOCHS = 3
LEARNING_RATE = 1e-2


def make_data(count: int):
    x = torch.linspace(-1, 1, count).unsqueeze(1)
    return x, x**3 + 0.1 * torch.randn(count, 1)


def squared_error(prediction, target):
    return ((prediction.detach() - target) ** 2).mean()


def report(epoch, loss):
    print(f"epoch {epoch}: {loss.item():.4f}")


def main():
    x, y = make_data(64)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    for epoch in range(EPOCHS):
        optimizer.zero_grad()
        loss = squared_error(net(x), y)
        loss.backward()
        optimizer.step()
        report(epoch, loss)


if __name__ == "__main__":
    main()
