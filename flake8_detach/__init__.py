"""flake8-detach: find PyTorch autograd misuse before the program runs."""

__version__ = "0.1.0"
