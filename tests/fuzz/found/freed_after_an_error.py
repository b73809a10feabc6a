# What the body would have used is not used yet when it raises.
import torch
import torch.nn.functional as F
x2 = torch.randn(4, requires_grad=True)
try:
    hidden = F.threshold(x2, 0.1, 0.0)
    1.0.backward()
    hidden.sum().backward()
except Exception:
    pass
