# The clone of an inference tensor that requires grad has a graph.
import torch
with torch.inference_mode():
    y2 = torch.ones(3).requires_grad_()

class Box:

    def __init__(self, value):
        self.value = value.clone()
box = Box(y2)
