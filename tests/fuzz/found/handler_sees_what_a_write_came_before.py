# A handler may see a variable that is bound anew to a tensor that is not yet written.
import torch
x = torch.ones(3)
x2 = torch.ones(3, requires_grad=True)
if x.requires_grad:
    pass
else:
    y3 = x2[0]
flag = False
for k, t in enumerate((x, y3)):
    y4 = x2
    try:
        if flag:
            pass
        else:
            t, y3 = (y3, t)
            x.backward()
        t[0] = y4
    except RuntimeError:
        pass
