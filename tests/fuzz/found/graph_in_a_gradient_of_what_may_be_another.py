# What may be another tensor behind a `try` may get a new gradient with a graph all the same.
import torch

x = torch.randn(4, requires_grad=True)
x1 = torch.ones(3)
y = torch.mean(x)
y.backward()
items = [x]
try:
    pass
except (RuntimeError,) as error:
    x, x1 = (x1, x)
finally:
    (x * x).mean().backward(create_graph=True)
