# open: SumBackward0/1
import operator

import torch

w = torch.randn(3, requires_grad=True)
made = operator.methodcaller("cos")(w)
loss = (w * made).sum()  # draw: loss
