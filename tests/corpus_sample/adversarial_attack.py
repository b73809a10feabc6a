"""A fast-gradient-sign attack that reads the gradient of a detached image."""

import torch
from torch import nn
from torch.nn import functional as F


class Classifier(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU())
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.body(x))


def attack(model, image, label, step):
    image = image.clone().requires_grad_(True)
    start = image.detach()
    loss = F.cross_entropy(model(image), label)
    loss.backward()
    return image + step * start.grad.sign()


def run():
    model = Classifier(4)
    image = torch.rand(1, 4, 4)
    return attack(model, image, torch.tensor([2]), 0.1)


if __name__ == "__main__":
    run()
