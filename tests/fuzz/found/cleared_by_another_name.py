# clearing what may be the same tensor clears it
import torch
x = torch.tensor(1.5, requires_grad=True)
hidden = x.to('cpu')
x.backward()
opt = torch.optim.AdamW([hidden])
opt.zero_grad()
