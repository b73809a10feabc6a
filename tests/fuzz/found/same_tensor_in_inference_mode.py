# What is made in inference mode may be the same tensor, and lead to its gradient.
import torch
x2 = torch.randn(()).requires_grad_()
with torch.inference_mode():
    fast = x2.to(torch.float32)
fast = fast.clone()
fast.backward()
