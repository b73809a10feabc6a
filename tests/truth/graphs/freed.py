import torch

w = torch.randn(3, requires_grad=True)
u = torch.randn(3, requires_grad=True)
hidden = w.exp() + u
loss = hidden.sum()
loss.backward()
again = loss * u.sin().sum()  # draw: again
