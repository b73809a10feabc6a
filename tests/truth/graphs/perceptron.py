import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
inputs, targets = torch.randn(5, 4), torch.randn(5, 1)
prediction = net(inputs)
loss = nn.functional.mse_loss(prediction, targets)  # draw: loss
