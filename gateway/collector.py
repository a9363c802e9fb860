"""The garbage collector looks at what is new, never at all that is kept: its longest run stays short however much is kept.

Nearly everything here is let go of by its last reference, and a run over all that lives would take a fraction of a second for a large mesh,
or after some thousand compiled operations, while nobody is answered. So when nobody is being answered, what has survived is put aside
(`gc.freeze`), where it still goes when its last reference does. Only what refers to itself, and lives for a while before it is garbage,
would stay there for ever: when much more is put aside than there was at first, all of it is looked at once (`relieve`). Touches the
process's collector, and nothing else.
"""

from __future__ import annotations

import gc

__all__ = ["GROWTH_MAX", "THRESHOLDS", "Collector", "collector"]

THRESHOLDS = (1_000, 2, 8)
"""The oldest generation is looked through when nobody was idle while some twenty thousand objects survived."""

GROWTH_MAX = 400_000
"""Objects more than at first, in a wide mesh: there to look at everything takes longest."""

_GROWTH_MIN = 150_000
"""In a small one: the classes that eighteen thousand operations with aliases of their own leave behind, which are some 60 MiB."""

_DUE = 2
"""So many runs of the middle generation, of three thousand objects each, are worth a run of the oldest in an idle moment."""


class Collector:
    """The process's collector. ``relieved``: how often everything was looked at."""

    def __init__(self) -> None:
        self._base = self._survived = 0
        self._is_settled = False
        self.relieved = 0

    def settle(self) -> None:
        """Put aside what is there, and from now on what survives. Garbage among it stays; to find it in a wide mesh takes long."""
        gc.freeze()
        gc.enable()
        gc.set_threshold(*THRESHOLDS)
        if not self._is_settled:
            self._is_settled = True
            gc.callbacks.append(self._collected)
        self._base = gc.get_freeze_count()

    def rest(self) -> None:
        """Put aside what survived, if that is enough: for who is idle, as what is being worked on would be put aside as well."""
        if gc.get_count()[2] >= _DUE and self._is_settled:
            gc.collect()

    def relieve(self) -> bool:
        """Look at everything if far more is put aside than there was; say whether that was done. For who calls this now and then."""
        growth_max = min(GROWTH_MAX, max(_GROWTH_MIN, self._base))
        if self._survived < growth_max:
            return False
        self._survived = 0  # to count what is aside is a walk along all of it
        if gc.get_freeze_count() - self._base < growth_max:
            return False
        gc.unfreeze()
        gc.collect()
        self.settle()
        self._survived = 0
        self.relieved += 1
        return True

    def release(self) -> None:
        """Put nothing aside any more, and look at all of it again: for a process that goes on after it has served."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
        self._is_settled = False
        gc.unfreeze()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        # Also where nobody was idle for long: else the next run would be over as much again, and more.
        if phase == "stop" and info["generation"] == 2:
            self._survived += len(gc.get_objects(generation=2))
            gc.freeze()


collector = Collector()
"""That of this process, which has one only."""
