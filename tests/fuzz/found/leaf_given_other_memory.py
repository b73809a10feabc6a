# A leaf that was given other memory is not what the graph ends in that was made of it before.
import torch
x = torch.randn((), requires_grad=True)
hidden = x * x
hidden.backward()
with torch.no_grad():
    x.set_()
g = torch.autograd.grad((x * hidden).sum(), x)
