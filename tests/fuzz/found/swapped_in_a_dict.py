# two objects swap their places in a dict in every turn of a loop
import torch
x = torch.rand(3)
y = torch.rand(3)
d = {"a": x, "b": y}
for k in range(51):
    d["a"], d["b"] = d["b"], d["a"]
x.requires_grad_()
u = d["a"] * 1
v = d["b"] * 1
