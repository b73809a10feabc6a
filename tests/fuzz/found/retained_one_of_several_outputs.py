# One of several outputs keeps a gradient only if backward comes by it.
import torch
x = torch.randn(2, 4, requires_grad=True)
row, row1, row2, row3 = x.median(0).values

def make1():
    total = row2

    def add(t):
        return total
    return add
add1 = make1()
row3.retain_grad()
if (y1 := add1(x)).requires_grad:
    hidden = y1
    hidden.backward()
