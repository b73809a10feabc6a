# What Variable makes of an inference tensor may be written.
import torch
with torch.inference_mode():
    fast = torch.ones(3)
u1, v1 = (torch.autograd.Variable(fast), 1.0)
u1 /= u1
