"""The judge of ports: asks a port everything it says it can and cannot do, in process or over the wire.

verdicts = await judge(contract, open_port)            # a team's own product, rows as the port itself lists them
verdicts = await judge(sample_contract(), open_port, rows=sample_rows())
print(report(verdicts))
"""

from __future__ import annotations

from collections.abc import Sequence

from domain_adapters.conformance.judge import Outcome, Verdict, judge
from domain_adapters.conformance.sample import sample_contract, sample_rows

__all__ = ["Outcome", "Verdict", "judge", "report", "sample_contract", "sample_rows"]


def report(verdicts: Sequence[Verdict]) -> str:
    """Write verdicts for a reader: a line per capability, then a line per wrong answer."""
    lines = []
    for capability in dict.fromkeys(verdict.capability for verdict in verdicts):
        outcomes = [verdict.outcome for verdict in verdicts if verdict.capability == capability]
        counts = ", ".join(f"{outcomes.count(outcome)} {outcome.value}" for outcome in Outcome if outcome in outcomes)
        lines.append(f"{capability}: {counts}")
    wrong = [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG]
    lines += [f"WRONG {verdict.capability}, {verdict.case}: {verdict.detail}" for verdict in wrong]
    return "\n".join(lines)
