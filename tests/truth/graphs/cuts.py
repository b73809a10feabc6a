import torch
from torch import nn

net = nn.Linear(3, 2)
teacher = nn.Linear(3, 2)
x = torch.randn(4, 3)
with torch.no_grad():
    wanted = teacher(x)
out = net(x)
baseline = out.detach()
choice = out.argmax(dim=1)
loss = (out - wanted).pow(2).mean() + (out * baseline).sum() + choice.float().mean()  # draw: loss
