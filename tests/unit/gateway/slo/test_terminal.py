"""The board as lines of text."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.slo.terminal import QUERY, board_lines


def one(status: str, **more: Any) -> dict[str, Any]:
    return {"objective": "< 1 hour", "status": status, "source": "rows", "measuredAt": None, "trend": None, "budget": None, **more}


def product(id_: str, status: str, **slo: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("freshness", "completeness", "accuracy", "availability"))
    return {"id": id_, "owner": "o@x", "slo": {"status": status, **blank, **slo}}


def test_the_query_is_one() -> None:
    parse(QUERY)


def test_the_worst_stands_first_and_what_is_not_accessible_nowhere() -> None:
    lines = board_lines(
        [
            product("d/fine", "MET", freshness=one("MET", lagSeconds=5.0)),
            product("d/bad", "BREACHED", accuracy=one("BREACHED", ratio=0.5, sample=1_234, trend="WORSENING", budget={"leftRatio": -3.0})),
            {"id": "d/secret", "owner": "o@x", "slo": None},
        ]
    )
    assert [line.split()[0] for line in lines[1:3]] == ["d/bad", "d/fine"]
    assert lines[1].split() == ["d/bad", "accuracy", "<", "1", "hour", "50.000%", "BREACHED", "-300.0%", "worse", "1,234", "rows"]
    assert lines[-1] == "2 products: 1 BREACHED, 0 UNKNOWN, 0 AT_RISK, 1 MET"
    assert "secret" not in "\n".join(lines)


@pytest.mark.parametrize(("lag_s", "text"), [(None, "-"), (0.25, "0.2 s"), (90, "1.5 min"), (5_400, "1.5 h"), (129_600, "1.5 d")])
def test_lags_are_told_in_the_unit_that_fits(lag_s: float | None, text: str) -> None:
    assert f"  {text}  " in board_lines([product("d/a", "MET", freshness=one("MET", lagSeconds=lag_s))])[1]


def test_colors_are_for_terminals_and_control_characters_for_nobody() -> None:
    hostile = product("d/\x1b[2J", "MET", freshness=one("MET", lagSeconds=1.0, objective="\x07"))
    assert "\x1b" not in "".join(board_lines([hostile]))
    assert "\x1b[32mMET" in board_lines([hostile], colored=True)[1]
