import sys

import torch

w = torch.randn(3, requires_grad=True)
hidden = w * 2
if len(sys.argv) > 100:
    print("many")
    out = hidden.exp()
else:
    out = hidden.tanh()
loss = out.sum()  # draw: loss
