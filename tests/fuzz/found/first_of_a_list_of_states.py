# The first of a list that a loop makes longer is one of those that are in it.
import random
import torch
rng = random.Random()
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [x]
for i in range(n):
    hs.append(hs[-1] * w)
y = hs[0].requires_grad_()
