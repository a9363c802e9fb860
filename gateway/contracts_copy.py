"""The copy of judged contracts that a gateway keeps for its next start, found again and kept by settings.

Whatever is wrong with it, contracts are read from their own files then, and one line in the log says why. Touches one file, which
holds nothing that the contracts do not, sealed by the gateway's secret: who lacks it cannot make the gateway believe a grant.
"""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path

from contracts.judged import Judged, OutdatedError
from contracts.policy import MeshPolicy
from gateway.observe.logs import event, fault
from gateway.sealed import SealedFile, SealError
from gateway.settings import Settings

__all__ = ["ContractsCopy"]

_WORTH_KEEPING = 100
"""Fewer contracts are judged in less time than anybody would notice."""


class ContractsCopy:
    """``judged``: for `contracts.read_catalog` to find contracts in, and to note them in."""

    def __init__(self, settings: Settings, policy: MeshPolicy) -> None:
        self._file = _file(settings)
        self._policy = policy
        self.judged = Judged(policy)
        if self._file is None:
            return
        try:
            self.judged = Judged(policy, self._file.read())
        except (SealError, OutdatedError) as refusal:
            event("contracts_copy_not_used", reason=str(refusal))
        except OSError as error:
            event("contracts_copy_not_used", level=logging.WARNING, reason=error.strerror or "unreadable")

    def keep(self) -> None:
        """Keep what was judged, if it is worth it and not what is kept already, and let go of it.

        Raises nothing; blocks: not for the event loop.
        """
        judged, self.judged = self.judged, Judged(self._policy)
        if self._file is None or not judged.is_changed or judged.count < _WORTH_KEEPING:
            return
        try:
            content = judged.written(lambda: time.sleep(0))
            if content is not None:
                self._file.write(content)
        except (SealError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            event("contracts_copy_not_kept", level=logging.WARNING, reason=reason or "unwritable")
        except Exception as error:  # the gateway serves; only its next start is slower
            fault("contracts_copy_not_kept", error)


def _file(settings: Settings) -> SealedFile | None:
    folder = settings.cache.contracts_dir
    # A secret made up for this process could not open the copy at the next start.
    if folder == "off" or "secret" not in settings.model_fields_set:
        return None
    try:
        place = Path(folder).expanduser()
    except RuntimeError:  # nobody's home is known
        event("contracts_copy_not_used", reason="there is no home folder; set cache.contracts_dir")
        return None
    judged = "\0".join(str(it.absolute()) for it in (settings.catalog_dir, settings.policy_file))
    name = hashlib.blake2b(judged.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return SealedFile(place / f"{name}.contracts", settings.key("contracts copy"))
