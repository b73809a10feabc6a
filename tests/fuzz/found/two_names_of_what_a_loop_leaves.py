# two names for what a loop leaves are compared alike
import torch
x = torch.zeros(3, requires_grad=True)
data = torch.utils.data.TensorDataset(x.expand(4, 3).detach(), torch.randn(4))
for xs, ys in torch.utils.data.DataLoader(data, batch_size=4):
    xs = torch.logaddexp(xs, x)
    x.requires_grad_(False)
    items1 = [xs]
