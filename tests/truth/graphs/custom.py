import torch


class Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


w = torch.randn(3, requires_grad=True)
clipped = Clip.apply(w * 2)
loss = clipped.sum()  # draw: loss
