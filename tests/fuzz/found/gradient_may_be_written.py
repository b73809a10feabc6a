# In an endless loop what was written into a gradient is still there in the next turn.
import torch
x = torch.randn((4,), requires_grad=True)
end = x
end.sum().backward()
try:
    pass
except (TypeError,) as error:
    x.grad = None
while 1.0:
    y5 = torch.dot(x, x)
    if x.grad is not None:
        x.grad[:1] = y5
