# What is set on one of two objects may be set on either.
import random
import torch
rng = random.Random()
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
class Box:
    pass
a = Box()
b = Box()
a.t = x
b.t = x
if rng.random() < 2:
    y = a
else:
    y = b
y.t = w
pass
