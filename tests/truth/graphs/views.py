# open: Tensor.__getitem__
import torch

w = torch.randn(2, 6, requires_grad=True)
rows = w.view(3, 4)
columns = rows.t()
first = columns[0]
part = rows[1:, 2]
loss = (first.sum() + part.sum()) * columns.unsqueeze(0).mean()  # draw: loss
