# What is no leaf is refused before what comes twice.
import torch
y1 = y2 = torch.where(torch.ones(3) > 0, 1.0, torch.tensor(2.0, requires_grad=True))
opt = torch.optim.SGD([y1, y2])
