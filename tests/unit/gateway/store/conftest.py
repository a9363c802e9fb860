from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store.opening import open_store
from gateway.store.store import Statement, Store
from tests.postgres import Server, running_postgres


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Every kind of store, empty."""
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url
        found = open_store(url)
        await found.run(Statement("DROP SCHEMA public CASCADE"), Statement("CREATE SCHEMA public"))
    else:
        found = open_store(None if request.param == "memory" else f"sqlite:{tmp_path}/deep/er/store.db")
    yield found
    await found.aclose()
