# Any layer may be the one at an unknown index.
import random
import torch
from torch import nn
rng = random.Random(7)
w = torch.ones(3, requires_grad=True)
net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
layers = [net[0], net[2]]
l = layers[rng.randint(0, 1)]
l.weight.requires_grad_(False)
