# autograd.grad of what a handler, which does not run, would have written.
import torch
x = torch.ones(requires_grad=True)
g = x[0]
loss = g ** 2
try:
    pass
except Exception:
    g.sigmoid_()
g1, = torch.autograd.grad(loss, [g], allow_unused=True)
