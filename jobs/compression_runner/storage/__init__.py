"""One interface to object stores, volumes and the Hugging Face Hub."""

from compression_runner.storage.opening import Stores
from compression_runner.storage.store import Advance, Entry, Readable, Store, Upload, silent

__all__ = ["Advance", "Entry", "Readable", "Store", "Stores", "Upload", "silent"]
