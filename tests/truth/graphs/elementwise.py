# open: ClampBackward0/1
import torch
import torch.nn.functional as F

w = torch.randn(3, 4, requires_grad=True)
labels = torch.tensor([[0], [1], [2]])
picked = F.log_softmax(w, dim=1).gather(1, labels)
kept = torch.where(w > 0, w.sqrt(), w.sigmoid())
bounded = torch.clamp(w, -1.0, 1.0)
loss = F.softplus(kept).sum() - picked.mean() + F.gelu(bounded).sum()  # draw: loss
