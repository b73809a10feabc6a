"""A variational autoencoder as in the textbook."""

import torch
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, width=8, latent=2):
        super().__init__()
        self.encoder = nn.Linear(width, 2 * latent)
        self.decoder = nn.Linear(latent, width)

    def reparameterize(self, mean, log_variance):
        return mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=-1)
        return self.decoder(self.reparameterize(mean, log_variance)), mean, log_variance


def elbo(reconstruction, x, mean, log_variance):
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return F.mse_loss(reconstruction, x, reduction="sum") + divergence


def train(batches):
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters())
    total = 0.0
    for x in batches:
        optimizer.zero_grad()
        loss = elbo(model(x)[0], x, *model(x)[1:])
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


print(train([torch.rand(4, 8)]))
