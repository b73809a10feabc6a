# A tensor in the list that a loop goes through is written in place: the list does not grow by that.
import torch
from torch import nn
x1 = torch.ones(3)
for k, t in enumerate((x1, torch.rand(3, requires_grad=True))):
    x1 -= nn.CrossEntropyLoss()(t.expand(4, 3), torch.randint(2, (4,)))
    loss1 = 1.0
