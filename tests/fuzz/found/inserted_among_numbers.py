# what is inserted into a list is in it
import torch
x1 = torch.ones(3, requires_grad=True)
items = [1.0]
items.insert(0, x1)
for t in items:
    t.requires_grad_(False)
