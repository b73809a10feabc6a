"""Import this before anything that asks PyTorch: where that is absent, the module is skipped, or CI fails."""

from __future__ import annotations

import importlib.util
import os

import pytest

if not (importlib.util.find_spec("torch") and importlib.util.find_spec("numpy")):
    absent = 'no program was run: install torch and numpy (pip install "flake8-detach[oracle]")'
    if os.environ.get("AGD_REQUIRE_TORCH") == "1":
        pytest.fail(absent, pytrace=False)
    pytest.skip(absent, allow_module_level=True)
