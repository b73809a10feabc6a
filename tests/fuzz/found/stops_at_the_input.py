# Backward stops at an input that may be the tensor which was written in place.
import torch
x = torch.rand(3, requires_grad=True)
mid1 = x + 1
end1 = mid1.to(torch.float32)
end1 *= 2
end1.sum().backward()
g, = torch.autograd.grad([end1.sum()], (mid1,))
