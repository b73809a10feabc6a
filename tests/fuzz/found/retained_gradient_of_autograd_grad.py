# What retains its gradient gets it from autograd.grad, too.
import torch
x1 = torch.randn((3,), requires_grad=True)

def change():
    global x1
    x1 = sum(x1)
change()
x1.retain_grad()
g, = torch.autograd.grad(x1, [x1])
x1.detach_()
