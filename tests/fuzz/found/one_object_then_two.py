# Two names lead to one object after the first turn, and to two after the second.
import torch
x = torch.ones(3).requires_grad_()
for i in range(3):
    total = torch.sum(x)
    for i1 in range(3):
        y3 = torch.ones(3)
        total = torch.ones(3) if total.is_leaf else y3
