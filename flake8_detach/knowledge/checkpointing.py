"""The arguments of torch.utils.checkpoint: what each of its forms takes.

Source: torch/utils/checkpoint.py of torch 2.13.
"""

from __future__ import annotations

OPTIONS = ("use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop")
"""Keywords of `checkpoint` that do not go to the function."""
LATER = ("context_fn", "debug")
"""Options that only the form without reentrance takes."""
SEQUENTIAL = ("functions", "segments", "input", "use_reentrant", "preserve_rng_state")
"""All keywords of `checkpoint_sequential`; what else it is given it refuses."""
CHECKS = ("default", "none")
"""The values that `determinism_check` may have; the reentrant form does not look at it."""
