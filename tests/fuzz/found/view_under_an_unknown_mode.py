# A view that is made in an unknown grad mode is not known to refuse a write.
import time
import torch
x = torch.ones(3)
x2 = x.requires_grad_()
with torch.set_grad_enabled(time.time() > 0):
    y1 = torch.where(1.0 > x.expand(4, 3), 1.0, 1.0).narrow(0, 0, 2)
y1 += x2
