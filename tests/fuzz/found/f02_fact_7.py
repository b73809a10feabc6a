import torch

with torch.inference_mode():
    fast = torch.ones(3)
fast.detach().add_(1)
