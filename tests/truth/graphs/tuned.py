import torch
from torch import nn

body, head = nn.Linear(4, 4), nn.Linear(4, 2)
for parameter in body.parameters():
    parameter.requires_grad_(False)
features = body(torch.randn(3, 4))
loss = head(features).logsumexp(dim=1).mean()  # draw: loss
