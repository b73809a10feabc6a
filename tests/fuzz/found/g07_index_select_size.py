import torch
x = torch.arange(4.0, requires_grad=True)

def split(a):
    return (x.index_select(0, torch.randint(2, (4,))), x)
u, v = split(1.0)
u.backward()
