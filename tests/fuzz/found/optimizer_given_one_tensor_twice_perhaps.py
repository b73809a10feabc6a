# an optimizer of two tensors that may be one clears both
import torch
x = torch.tensor(1.5, requires_grad=True)
hidden = x.to('cpu')
x.backward()
opt = torch.optim.AdamW([x, hidden])
opt.zero_grad()
