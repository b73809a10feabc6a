# What is one of several, one of which is one of several: backward may come to each.
import torch
a = torch.randn(4, requires_grad=True)
b = torch.randn(4, requires_grad=True)
z = torch.randn(4, requires_grad=True)
if torch.rand(()) > -1:
    c = a
else:
    c = b
if torch.rand(()) > -1:
    d = c
else:
    d = z
(d * d).sum().backward()
first = a.grad
(d * d).sum().backward(create_graph=True)
second = a.grad
x = torch.randn(4, requires_grad=True)
y = x.contiguous()
w = y.cpu()
(w * w).sum().backward()
(w * w).sum().backward(create_graph=True)
v = x.detach().requires_grad_()
try:
    v = x
    q = int("r")
except ValueError:
    u = v
try:
    u = u
    q = int("r")
except ValueError:
    t = u
(t * t).sum().backward(create_graph=True)
