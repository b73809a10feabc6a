# What an iteration changes first when another one has come before.
import torch
x = torch.ones(3)
loss = x
total = torch.ones(3)
for i in range(3):
    items = [loss.sum()]
    total.requires_grad = True
    total = loss
