import torch

w = torch.randn(4, requires_grad=True)
u = torch.randn(2, requires_grad=True)
y = w * 2
head, tail = y[:2], y[2:]
head.mul_(u)
tail.exp_()
rows = y.view(2, 2)
rows.add_(1)
zeros = torch.zeros(3)
part, rest = zeros[:2], zeros[1:]
part.add_(u)
total = (y * y).sum() + head.sum() + tail.prod() + rest.mean() + rows.std() + part.max()  # draw: total
