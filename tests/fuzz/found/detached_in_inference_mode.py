# detach_ does nothing in inference mode.
import torch
x = torch.randn((), requires_grad=True)
y1 = x * 1.0
with torch.inference_mode():
    y1.detach_()
