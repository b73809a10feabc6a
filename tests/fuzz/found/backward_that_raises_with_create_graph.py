# A backward with create_graph raises on its way: gradients may be new ones by then.
import torch
import torch.nn.functional as F
x = torch.randn(3, requires_grad=True)
mid = F.tanhshrink(x)
mid.sum().backward()
x1 = torch.randn(3, requires_grad=True)
x1.norm().backward()
try:
    torch.fmod(next(iter(mid)), torch.inner(torch.ones(2), x1.expand(2, 3)[..., 0])).backward(create_graph=True)
except (RuntimeError,) as error:
    pass
