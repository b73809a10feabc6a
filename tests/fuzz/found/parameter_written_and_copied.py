# A Parameter that was written is copied as a leaf.
import copy
import torch
from torch import nn
x1 = torch.ones(3)
p = x1.requires_grad_()

class Base(nn.Module):

    def __init__(self, size):
        super().__init__()
        self.frozen = nn.Parameter(requires_grad=False)

class Child(Base):

    def __init__(self):
        super().__init__(2)
child = Child()
child.frozen[...] = (p * torch.ones(2, 4, 3)).logsumexp(tuple(range(3)))
child = copy.deepcopy(child)
