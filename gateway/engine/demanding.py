"""What an operation demands of its data (``@requireSlo``), held against the board before anything is read.

Rejects with SLO_UNMET what is to be refused, with BAD_USER_INPUT what variables demand that cannot be meant. Touches nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.compiler.executable import ConnectionStep, Executable
from gateway.compiler.plan import Demand
from gateway.engine.asking.grouping import Grouping
from gateway.errors import GatewayError, RefusedError
from gateway.slo.board import Board
from gateway.slo.demands import OnBreach, Unmet, Wanted, unmet

__all__ = ["NOTHING_UNMET", "Demanded", "check_demands", "without"]

_Path = tuple[str, ...]
_ERRORS_MAX = 20


@dataclass(frozen=True, slots=True)
class Demanded:
    """What came of an operation's demands. ``nulled``: fields that are answered null, unread, each with its ``errors``.

    ``warnings``: what is answered all the same, as ``extensions.mesh.unmet`` tells it.
    """

    nulled: frozenset[_Path] = frozenset()
    errors: tuple[GatewayError, ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()

    def drops(self, path: _Path) -> bool:
        """Whether what is read at ``path`` lies in a field that is answered null."""
        return any(path[: len(it)] == it for it in self.nulled)


NOTHING_UNMET = Demanded()


def check_demands(
    executable: Executable,
    variables: Mapping[str, Any],
    bound: Mapping[_Path, Any],
    board: Board,
    now: dt.datetime,
    *,
    default: Wanted | None = None,
    may_null: bool = True,
) -> Demanded:
    """Hold an operation's demands against how its products stand.

    ``default``: what the operation's registration and the client demand, put together by `strictest`. ``may_null``: the form has a
    place for null in place of a list; where it has none, NULL refuses as ERROR does. **Raises** `GatewayError`.
    """
    refused: dict[tuple[str, str], GatewayError] = {}
    nulled: dict[_Path, dict[tuple[str, str], GatewayError]] = {}
    warnings: dict[tuple[str, Unmet], dict[str, Any]] = {}
    # One product may be read at many places, below many demands.
    known: dict[tuple[Wanted, str], tuple[Unmet, ...]] = {}
    for wanted, demand, reads in _demands(executable, variables, default):
        for id_, path in (*reads, *_grouped_by(executable, bound, demand.path)):
            place = demand.path or path[:2]
            if (found := known.get((wanted, id_))) is None:
                owner = executable.rulings[id_].owner
                found = known[wanted, id_] = tuple(unmet(wanted, board.product(id_), now, product=id_, owner=owner))
            for one in found:
                about = (id_, one.objective)
                if wanted.on_breach is OnBreach.WARN:
                    place_text = ".".join(path)
                    warnings[place_text, one] = {"path": place_text, **one.members()}
                elif wanted.on_breach is OnBreach.NULL and may_null:
                    nulled.setdefault(place, {}).setdefault(about, _error(one, place))
                else:
                    refused.setdefault(about, _error(one, path))
    if refused:
        raise RefusedError(tuple(refused.values())[:_ERRORS_MAX])
    outer = [it for it in nulled if not any(it[:length] in nulled for length in range(len(it)))]
    return Demanded(frozenset(outer), tuple(error for it in outer for error in nulled[it].values()), tuple(warnings.values()))


def without(read: Sequence[tuple[str, tuple[str, ...]]], demanded: Demanded) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Leave out of (product id, response paths) what was not read because a demand was not met."""
    kept = ((id_, tuple(path for path in paths if not demanded.drops(tuple(path.split("."))))) for id_, paths in read)
    return tuple((id_, paths) for id_, paths in kept if paths)


def _demands(
    executable: Executable, variables: Mapping[str, Any], default: Wanted | None
) -> Iterator[tuple[Wanted, Demand, tuple[tuple[str, _Path], ...]]]:
    if default is not None:
        reads = tuple((id_, tuple(path.split("."))) for id_, paths in executable.products for path in paths)
        yield default, Demand((), lambda _: default, default), reads
    for demand, below in executable.demands:
        yield demand.constant or demand.of(variables), demand, below


def _grouped_by(executable: Executable, bound: Mapping[_Path, Any], under: _Path) -> Iterator[tuple[str, _Path]]:
    """Go through the partners that groups are formed by, which only a request's values tell."""
    for step in executable.questions:
        for totals in step.totals if isinstance(step, ConnectionStep) else ():
            grouping: Grouping = bound[totals.path]
            if totals.path[: len(under)] == under:
                yield from ((product.id, totals.path) for term in grouping.by for _, product in term.path)


def _error(one: Unmet, path: _Path) -> GatewayError:
    return GatewayError("SLO_UNMET", one.message(), path=path, **one.members())
