import torch

w = torch.randn(3, 3, requires_grad=True)
hidden = torch.tanh(w)
twice = hidden * hidden
thrice = twice * hidden
out = (twice + thrice + w).sum()  # draw: out
