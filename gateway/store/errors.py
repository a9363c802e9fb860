"""What can go wrong with the store, by who can do something about it.

    StoreError
    ├── StoreUnavailableError   retry: away, too slow, too busy
    ├── StoreConflictError      somebody else was first: a row was not as expected, nothing of the transaction was done
    └── StoreSchemaError        its tables are of a newer or another version of this software; upgrade this process

Messages never quote a row or the store's address.
"""

from __future__ import annotations

__all__ = ["StoreConflictError", "StoreError", "StoreSchemaError", "StoreUnavailableError"]


class StoreError(Exception):
    """The store did not do what was asked; nothing of the transaction was done."""


class StoreUnavailableError(StoreError):
    """Nobody answered in time. Whether a transaction under way was done is not known."""


class StoreConflictError(StoreError):
    """Somebody else was first."""


class StoreSchemaError(StoreError):
    """The tables are not those that this version knows."""
