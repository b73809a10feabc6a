# A backward with create_graph=True from what is not known may put a new gradient in place of any that is there.
import torch

x = torch.randn(4, requires_grad=True)
y = torch.mean(x)
y.backward()
items = [x]
try:
    pass
except (RuntimeError,) as error:
    x, x1 = (x,)
finally:
    (x * x).mean().backward(create_graph=True)
