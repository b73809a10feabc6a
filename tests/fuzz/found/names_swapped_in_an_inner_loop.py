# A name stands for an object from before the loop in its second turn, and not in its third.
import torch
x = torch.ones(3)
for k, t in enumerate([x, x]):
    loss = x
    total = loss
    for i in x:
        y2 = total
        total = torch.ones(3)
