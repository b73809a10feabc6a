# A part of a leaf that was made without grad says what the leaf says, whatever it is told.
import torch
x = torch.rand(3, requires_grad=True)
torch.set_grad_enabled(False)
left, right = x.chunk(2)
right.requires_grad = False
