# A loop that is left early has not run its last statement.
import random
import torch
rng = random.Random()
x = torch.randn((3,), requires_grad=True)
x = (x * torch.ones(2, 3)).select(1, 0)
y2 = y3 = x
for i in range(1):
    y2 += y2
    if rng:
        break
    y2.backward(rng)
