import torch

x = torch.ones(3)
with torch.inference_mode():
    fast = x.contiguous()
