# What a list of unknown length is unpacked into has memory of its own each.
import random
import torch
rng = random.Random()
n = rng.randint(2, 2)
a, b = [torch.zeros(3) for _ in range(n)]
a.requires_grad_()
b += 1
(a * b).sum().backward()
