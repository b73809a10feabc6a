# The real part of a complex tensor is a view of another dtype.
import torch
x2 = torch.ones(4, requires_grad=True)
first, *rest = (torch.fft.fft(x2).real,)
with torch.inference_mode():
    first.zero_()
    items1 = 1.0
