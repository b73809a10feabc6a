# Of all parameters that are squared, the frozen one is not saved: nothing there requires grad.
from torch import nn

class Base(nn.Module):

    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(2, size)
        self.frozen = nn.Parameter(requires_grad=False)

class Child(Base):

    def __init__(self):
        super().__init__(2)
child = Child()
loss = sum((p.pow(2).sum() for p in child.parameters()))
child.frozen[:] = 1.0
mid1 = loss
end1 = mid1
end1.backward()
