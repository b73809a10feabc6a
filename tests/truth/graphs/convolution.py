import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 3 * 3, 10)

    def forward(self, images):
        features = F.max_pool2d(F.relu(self.norm(self.conv(images))), 2)
        return self.head(torch.flatten(features, 1))


net = Net()
images, labels = torch.randn(2, 1, 8, 8), torch.tensor([1, 2])
scores = net(images)
loss = F.cross_entropy(scores, labels)  # draw: loss
