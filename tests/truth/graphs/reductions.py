import torch

w = torch.randn(4, 5, requires_grad=True)
values, indices = w.max(dim=1)
spread = w.var(dim=0)
high = torch.logsumexp(w, dim=1)
low = w.min()
loss = values.sum() + spread.mean() + high.sum(dim=0) - low + w.norm()  # draw: loss
