# After create_graph=True, a gradient that is there may have a graph.
import torch
x1 = torch.randn(4)
x2 = torch.zeros((), requires_grad=True)
data = x1
for xs, ys in torch.utils.data.DataLoader(data, batch_size=2):
    x = torch.pow(x2, 2)
x.backward(create_graph=True)
if x2.grad is not None:
    pass
