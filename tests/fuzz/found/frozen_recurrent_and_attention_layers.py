# Frozen layers do not save their inputs, but for what they multiply with one another.
import torch
from torch import nn
def go(net, *more):
    h = torch.randn(3, 4, requires_grad=True) * 1
    y = net(h, *more)
    h += 1
    return y
cell = nn.GRUCell(4, 4).requires_grad_(False)
go(cell).sum().backward()
rnn = nn.RNN(4, 4).requires_grad_(False)
go(rnn)[0].sum().backward()
enc = nn.TransformerEncoderLayer(4, 1, 8).requires_grad_(False)
go(enc).sum().backward()
bi = nn.Bilinear(4, 4, 2).requires_grad_(False)
go(bi, torch.randn(3, 4)).sum().backward()
mha = nn.MultiheadAttention(4, 1).requires_grad_(False)
h = torch.randn(2, 3, 4, requires_grad=True) * 1
y, _ = mha(h, h, h)
h += 1
y.sum().backward()
