# The finally also runs on the way to the handler of a try around it.
import torch
x = torch.full((3,), 0.5, requires_grad=True)
x1 = torch.ones(3)
try:
    x2 = x1
    try:
        pass
    except (TypeError,) as error:
        x2 += x
    else:
        x3 = torch.full(requires_grad=True)
        x2 = x3
    finally:
        y2 = x2
except Exception:
    pass
