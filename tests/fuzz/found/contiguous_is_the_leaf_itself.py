# `autograd.grad` by what `contiguous()` returned, which is the leaf itself.
import torch
x = torch.tensor(0.5, requires_grad=True)
pair = (x.contiguous(),)
while True:
    g = torch.autograd.grad(x, pair)
    break
