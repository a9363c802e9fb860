"""A mirror: keeps a copy of a level-0 endpoint on disk and answers level 1 from it (SPEC B4).

Pages come in (`intake`), are gathered beside the copy (`replica`), and replace it or are merged into it at once when a walk has ended
(`refresher`); `port` answers from it. The copy holds true values: guard its folder as you guard the source.
"""

from __future__ import annotations

from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.fitness import refuse_unfit
from domain_adapters.mirror.port import MirrorPort, open_mirror
from domain_adapters.mirror.refresher import Progress, Refresher, Standing

__all__ = ["Bounds", "MirrorPort", "Progress", "Refresher", "Standing", "open_mirror", "refuse_unfit"]
