# The default of a method is computed with the class.
import torch
x = torch.zeros(3, requires_grad=True)
x2 = 1.0

class Box:

    def __init__(self, value):
        pass

    def measure(self, y):
        end = x
        end.sum().backward()
box = Box(1.0)

class Box1:

    def update(self, b=1.0, a=1.0, c=box.measure(x2)):
        pass
