# What is set on one object of several is set on that one.
import random
import torch
rng = random.Random()
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
class Box:
    def __init__(self, t):
        self.t = t
hs = {k: Box(x) for k in range(n)}
hs[0].t = w
y = hs[1].t
y.numpy()
