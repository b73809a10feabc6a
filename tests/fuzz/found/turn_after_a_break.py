# The second turn of a loop that a condition always leaves in the first one.
import time
import torch
x = torch.full((3,), 0.5, requires_grad=True)
left, right = x.split(2)
for i in range(10):
    for t1 in [1.0, left]:
        t1 *= 1.0
        if time.time():
            break
