"""An ordinary GAN loop: detaching for the discriminator is right."""

import torch
from torch import nn

generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
discriminator = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
g_optimizer = torch.optim.Adam(generator.parameters())
d_optimizer = torch.optim.Adam(discriminator.parameters())
criterion = nn.BCEWithLogitsLoss()


def noise(count):
    return torch.randn(count, 4)


def discriminator_step(real):
    fake = generator(noise(len(real))).detach()
    d_optimizer.zero_grad()
    loss = criterion(discriminator(real), torch.ones(len(real), 1))
    loss = loss + criterion(discriminator(fake), torch.zeros(len(real), 1))
    loss.backward()
    d_optimizer.step()
    return loss.item()


def generator_step(count):
    g_optimizer.zero_grad()
    loss = criterion(discriminator(generator(noise(count))), torch.ones(count, 1))
    loss.backward()
    g_optimizer.step()
    return loss.item()


for _ in range(2):
    discriminator_step(torch.rand(8, 2))
    generator_step(8)
