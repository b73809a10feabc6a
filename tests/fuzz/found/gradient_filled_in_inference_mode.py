# A backward in inference mode fills `.grad` with inference tensors.
import torch
import torch.nn.functional as F
x = torch.full((3,), 0.5, requires_grad=True)
x2 = x
for i in x2:
    total = F.cross_entropy(torch.outer(torch.ones(4), x), torch.randint(2, (4,)))
with torch.inference_mode():
    total.backward()
if x.grad is not None:
    pass
