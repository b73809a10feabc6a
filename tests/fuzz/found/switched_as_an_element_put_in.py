# A loop goes through a list that its body makes longer: what is put in is an element later.
import torch
x = torch.ones(3)
items = [torch.ones(3)]
for k, t in enumerate(items):
    items[0] = 1.0
    t.requires_grad_()
    items.append(x)
    if len(items) > 4:
        break
z = x
