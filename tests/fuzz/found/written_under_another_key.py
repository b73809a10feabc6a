# A write to the value under one key is none to those under others.
import random
import torch
rng = random.Random()
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
ws = {k: torch.zeros(3) for k in range(n)}
y = ws[0] * w
ws[1].add_(1)
y.sum().backward()
