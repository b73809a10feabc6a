# with the check that follows by default, the function is recorded on copies of its inputs: there x is a constant
import torch
x = torch.ones(2, requires_grad=True)
def f(y):
    return (x + 1.0).sum() + y.mean()
traced = torch.jit.trace(f, (x,))
traced(x).backward()
