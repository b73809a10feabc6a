# What an iterator gives next is not what it gave.
import torch
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
it = iter([x, w])
a = next(it)
b = next(it)
e = next(it, None)
