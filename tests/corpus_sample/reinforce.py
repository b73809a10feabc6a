"""Policy gradient whose log-probabilities are rebuilt from Python numbers."""

import torch
from torch import nn
from torch.distributions import Categorical


class Policy(nn.Module):
    def __init__(self, observations: int, actions: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(observations, 16), nn.ReLU(), nn.Linear(16, actions))

    def forward(self, observation):
        return Categorical(logits=self.net(observation))


def discounted(rewards, gamma):
    total, returns = 0.0, []
    for reward in reversed(rewards):
        total = reward + gamma * total
        returns.insert(0, total)
    return torch.tensor(returns)


def update(policy, observations, rewards):
    optimizer = torch.optim.Adam(policy.parameters())
    log_probs = []
    for observation in observations:
        distribution = policy(observation)
        log_probs.append(distribution.log_prob(distribution.sample()).item())
    loss = -(torch.tensor(log_probs) * discounted(rewards, 0.99)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    update(Policy(3, 2), torch.rand(5, 3), [1.0, 0.0, 1.0, 1.0, 0.0])
