# An except block that did not run has not made the tensor keep its gradient.
import torch
x = torch.randn((3,), requires_grad=True)
g = x
loss = g ** 2
try:
    pass
except Exception:
    loss.retain_grad()
loss.sum().backward()
