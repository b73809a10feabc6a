# a cast that may return its tensor may be written where that may
import torch
x = torch.randn((3,), requires_grad=True)
g1, = torch.autograd.grad(x.sum(), [x])
y = g1
y2 = y * torch.ones(2, 3)
x1 = y2
with torch.inference_mode():
    fast = x1.softmax(1)
fast = fast.detach()
x, fast = (fast, x)
with torch.inference_mode():
    fast1 = x.cpu()
fast1.add_(1)
