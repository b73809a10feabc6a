# `retain_grad()` of what may be one tensor or another object.
import random
import torch
rng = random.Random()
x = torch.zeros(3, requires_grad=True)
y = torch.cat([x])
y1 = y
for t, k in zip((1.0,), [3]):
    if rng:
        continue
    y = rng
match 1:
    case 1:
        y.retain_grad()
    case 'sum':
        pass
    case _:
        pass
