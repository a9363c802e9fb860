"""``meshgate port serve CONTRACT --mirror URL``: the options of a mirror, and its progress for whoever started it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.failure import settings_of, told

if TYPE_CHECKING:
    from contracts.policy import MeshPolicy
    from domain_adapters.mirror import Progress

__all__ = ["add_options", "run"]

_GIB = 1024**3


def add_options(serve: argparse.ArgumentParser) -> None:
    """Add a mirror's options to ``port serve``."""
    mirror = serve.add_argument_group(
        "mirror", "keep a copy of an endpoint that only speaks level 0, and answer filters, orders, keys and totals from it"
    )
    mirror.add_argument("--folder", type=Path, default=Path(".mirror"), help="where copies are kept (default: .mirror); guard it")
    mirror.add_argument("--refresh", default="1 min", metavar="TIME", help="between looks for changes (default: 1 min)")
    mirror.add_argument("--rewalk", default="6 hours", metavar="TIME", help="between walks over everything (default: 6 hours)")
    mirror.add_argument("--overlap", default="5 min", metavar="TIME", help="how far looks go back, for late rows (default: 5 min)")
    mirror.add_argument("--disk-max", type=float, default=20.0, metavar="GIB", help="disk that the copy may take (default: 20)")
    mirror.add_argument("--memory-max", type=float, default=1.0, metavar="GIB", help="memory for its database (default: 1)")
    mirror.add_argument("--origin-auth", metavar="REF", help="the bearer token sent to the endpoint: env:NAME or file:PATH")
    mirror.add_argument("--policy", type=Path, metavar="FILE", help="the mesh policy, which says what may be kept (default: as configured)")


def run(chosen: argparse.Namespace, token: str | None) -> int:
    """Mirror and serve until interrupted."""
    from contracts.durations import parse_duration
    from contracts.errors import ContractError
    from domain_adapters.errors import SourceError
    from domain_adapters.mirror import Bounds
    from domain_adapters.mirror.running import run as mirror

    with told(ContractError, SourceError, ValueError):
        bounds = Bounds(
            refresh_s=parse_duration(chosen.refresh),
            rewalk_s=parse_duration(chosen.rewalk),
            overlap_s=parse_duration(chosen.overlap),
            disk_max_bytes=int(chosen.disk_max * _GIB),
            memory_max=f"{int(chosen.memory_max * 1024)}MiB",
        )
        mirror(
            chosen.contract,
            chosen.mirror,
            folder=chosen.folder,
            policy=_policy(chosen.policy),
            auth=chosen.origin_auth,
            bounds=bounds,
            host=chosen.host,
            port=chosen.port,
            token=token,
            levels=frozenset(chosen.level or (0, 1)),
            on_progress=_tell,
        )
    return 0


def _policy(path: Path | None) -> MeshPolicy | None:
    from contracts import load_policy

    if path is None:
        path = settings_of(None).policy_file
        if not path.exists():
            return None
    return load_policy(path)


def _tell(progress: Progress) -> None:
    # A look for changes every minute is no news; a walk over everything is.
    if progress.everything:
        of = "" if progress.expected is None else f" of about {progress.expected:,}"
        state = "read" if progress.is_over else "reading"
        print(f"{progress.product}: {state} {progress.rows:,} rows{of}, {progress.elapsed_s:.1f} s", file=sys.stderr, flush=True)
