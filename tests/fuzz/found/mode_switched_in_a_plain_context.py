# A context that has no part in grad mode leaves it switched.
import contextlib
import torch
with contextlib.nullcontext():
    torch.set_grad_enabled(False)
