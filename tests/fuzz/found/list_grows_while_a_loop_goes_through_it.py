# A loop goes through a list that it makes longer.
import torch
w = torch.ones(3, requires_grad=True)
first, *rest = (w, 1.0)
for i in range(2):
    total = sum(p for p in [w])
    for t in rest:
        torch.set_grad_enabled(False)
        if len(rest) < 4:
            rest += [t]
