# on one path a view that was made without grad: it requires grad as its base does, whatever it is told
import torch
x = torch.randn(3, 3, requires_grad=True)
with torch.no_grad():
    try:
        x = x.transpose(0, 1)
    except (TypeError,) as error:
        pass
    x.requires_grad = False
