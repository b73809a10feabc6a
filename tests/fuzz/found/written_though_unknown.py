# What is unknown after paths met, and is written in place, may be a known tensor.
import random
import torch
rng = random.Random()
x = torch.randn((3,), requires_grad=True)
x1 = torch.ones(3)
if rng.random() > 2:
    y = rng
else:
    y = x1
y /= x
