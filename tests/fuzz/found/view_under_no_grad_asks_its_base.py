# A view made under no_grad requires grad as its base does.
import torch
x = torch.tensor(1.5, requires_grad=True)
with torch.no_grad():
    y = x.expand(3)
y.requires_grad_(False)
