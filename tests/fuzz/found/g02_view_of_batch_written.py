import torch
x = torch.ones(3)
pass
data = torch.utils.data.TensorDataset(x, x)
for xs, ys in torch.utils.data.DataLoader(data):
    xs = xs[:2]
    xs.view(-1)[0] = torch.tensor(2.0, requires_grad=True)
