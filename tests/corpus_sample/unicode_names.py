"""Identifiers that Python normalises, a byte-order-safe docstring: „Verlust“, naïve ≈ 1."""

import torch

# The next name is written with a ligature and read without: one identifier to Python.
ﬁnal = torch.zeros(2, requires_grad=True)


def verlust(größe):
    return (final * größe).detach().sum()


verlust(torch.ones(2)).backward()
