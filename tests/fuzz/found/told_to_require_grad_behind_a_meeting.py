# What may be a tensor that is later told to require grad sends its gradient there.
import random
import torch
rng = random.Random(7)
w = torch.ones(3, requires_grad=True)
g = torch.zeros(3)
if rng.random() < 0.5:
    y2 = g
else:
    y2 = w * 2
g.requires_grad_()
y2.sum().backward()
held = g.grad
