# A handler finds what the body made, as it was before.
import torch
x = torch.ones(3)
try:
    with torch.inference_mode():
        fast = torch.ones(3)
    fast += x.requires_grad_()
except Exception:
    pass
