"""A gateway that is started again judges only the contracts that changed, whatever happened to the copy or to itself meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.bench.ready import started
from tests.bench.wide import contract_text

PRODUCTS = 120


def test_the_second_start_of_a_real_process_judges_only_what_changed_and_believes_no_damaged_copy(tmp_path: Path) -> None:
    gateway = started(tmp_path, PRODUCTS)

    def is_kept() -> bool:
        return gateway.copies.exists() and any(gateway.copies.glob("*.contracts"))

    first = gateway.start(until=is_kept)
    assert (first.unchanged, len(first.copies)) == (0, 1)
    (copy,) = gateway.copies.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    (gateway.mesh.catalog / f"{gateway.mesh.products[7]}.yaml").write_text(contract_text(7, PRODUCTS, version="1.1.0"))
    before = copy.read_bytes()
    assert gateway.start(until=lambda: copy.read_bytes() != before).unchanged == PRODUCTS - 1
    content = copy.read_bytes()
    copy.write_bytes(content[:-1])
    assert gateway.start(until=lambda: copy.read_bytes() == content).unchanged == 0
