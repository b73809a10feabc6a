"""What training frameworks do with the code that they are given, a small file for each of them.

`LOOPS`: classes that a framework calls the methods of. `LAUNCHERS`: objects that wrap the parts of a plain script.
"""

from __future__ import annotations

from flake8_detach.knowledge.frameworks.accelerate import ACCELERATOR
from flake8_detach.knowledge.frameworks.fabric import FABRIC
from flake8_detach.knowledge.frameworks.lightning import MODULE
from flake8_detach.knowledge.frameworks.lightning import MODULES as LIGHTNING_MODULES
from flake8_detach.knowledge.frameworks.transformers import TRAINER

MODULES = LIGHTNING_MODULES | {"torch.nn.Module"}
"""Classes outside torch.nn whose subclasses are nn.Modules (their documentation says so)."""

LOOPS = (MODULE, TRAINER)
LAUNCHERS = (ACCELERATOR, FABRIC)
