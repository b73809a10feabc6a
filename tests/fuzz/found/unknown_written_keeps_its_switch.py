# An unknown tensor is written by an augmented assignment and keeps what it was told before.
import torch
x1 = torch.randn(4, requires_grad=True)
normal = torch.distributions.Normal(x1.mean() * torch.ones(3), x1[:1].squeeze().median(dim=-1)[0])
y = normal.mean
y.retain_grad()
y -= torch.ones(3)
z = y
