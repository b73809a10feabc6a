import torch
import torch.nn.functional as F
from torch import nn


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 4)
        self.mean = nn.Linear(4, 2)
        self.spread = nn.Linear(4, 2)
        self.decoder = nn.Linear(2, 6)

    def forward(self, x):
        hidden = F.relu(self.encoder(x))
        mean, logvar = self.mean(hidden), self.spread(hidden)
        noise = torch.randn_like(mean)
        sample = mean + noise * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.decoder(sample)), mean, logvar


model = VAE()
x = torch.rand(3, 6)
output, mean, logvar = model(x)
divergence = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
loss = F.binary_cross_entropy(output, x) + divergence  # draw: loss
