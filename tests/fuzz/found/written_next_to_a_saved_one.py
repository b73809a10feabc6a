# A write to one element of a list is none to the others.
import random
import torch
rng = random.Random()
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
ws = [torch.zeros(3) for _ in range(n)]
y = ws[0] * w
ws[1] += 1
y.sum().backward()
