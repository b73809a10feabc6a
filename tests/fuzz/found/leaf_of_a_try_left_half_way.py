# A graph may lead to a leaf that was made in a `try`, behind which it is not known any more.
import torch
from torch import nn

x = torch.full((), 0.5)
hidden = x.clamp(-1, 1)
try:
    try:
        loss = (g ** 2).sum()
    finally:
        hidden.sub_(torch.full((), 0.5, requires_grad=True), alpha=0.1)
except NameError as error:
    y = torch.zeros(3)
hidden.sum().backward()
