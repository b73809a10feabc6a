"""See lightning."""

from lightning import Fabric

__all__ = ["Fabric"]
