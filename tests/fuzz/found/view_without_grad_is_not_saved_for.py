# What a view made in inference mode would need is not saved.
import torch
x2 = torch.full((4,), 0.5, requires_grad=True)
with torch.inference_mode():
    fast = x2.expand_as(x2)
y1 = torch.fmod(x2, fast)
torch.autograd.backward(y1.sum())
