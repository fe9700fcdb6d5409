"""Object stores and volumes behind one interface."""

from compression_runner.storage.opening import Stores
from compression_runner.storage.store import Advance, Entry, Store, Upload, silent

__all__ = ["Advance", "Entry", "Store", "Stores", "Upload", "silent"]
