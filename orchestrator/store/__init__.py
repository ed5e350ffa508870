"""The store: one directory per trial on any file system, the sole record of what was trained."""

from orchestrator.store.locks import Holder, LockHeld, Superseded
from orchestrator.store.store import Store

__all__ = ["Holder", "LockHeld", "Store", "Superseded"]
