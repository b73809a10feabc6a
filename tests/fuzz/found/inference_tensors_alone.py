# Autograd does not see ops on inference tensors alone.
import torch
with torch.inference_mode():
    y = torch.randn(4, requires_grad=True)
y1 = y
top, where = y1.min(dim=-1)
