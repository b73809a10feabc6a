# What is written may be a view, and then its base is.
import torch
x = torch.tensor(0.5, requires_grad=True)
x2 = torch.ones(3)
fast = x2
fast = fast.view_as(fast)
try:
    pass
except (TypeError,) as error:
    fast = x
fast += x
