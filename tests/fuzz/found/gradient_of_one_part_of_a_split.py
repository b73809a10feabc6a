# The gradient of one part of a split has a graph only if the curved op is behind that part.
import torch
import torch.nn.functional as F
from torch import nn
x = torch.randn(3, requires_grad=True)
left, right = x.split(2)
match 2:
    case 1:
        pass
    case 'sum':
        pass
    case _:
        match 2:
            case 1:
                pass
            case 'sum':
                pass
            case _:
                g = torch.autograd.grad((left.mean() * torch.ones(3))[1].add(nn.NLLLoss()(F.log_softmax(right.expand(4, 3)), torch.randint(2, (4,)))), left, create_graph=True)
