"""The settings as a page of documentation: ``python -m gateway.settings_page > gateway/docs/settings.md``."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from gateway.settings import Settings
from gateway.settings_sections import PortSettings, ProductSettings

__all__ = ["page"]

_HEAD = """\
# Settings

Every setting may stand in a TOML file (`meshgate serve --config meshgate.toml`, or `MESHGATE_CONFIG`) or in the environment, which
wins: `http.port` is `MESHGATE_HTTP__PORT`; lists are separated by commas there. Unknown names are refused with the nearest known one.
This page is written by `python -m gateway.settings_page`; a test compares it with the code.

```toml
catalog_dir = "contracts/catalog"          # relative paths count from this file's folder

[products."order/orders-daily"]
endpoint = "http://127.0.0.1:9001"

[auth]
jwks_url = "https://id.example.com/keys"
issuer = "https://id.example.com"
```
"""


def page() -> str:
    """Write the page."""
    top = [field for field in Settings.model_fields.items() if not _section(field[1])]
    parts = [_HEAD, _table(top, "")]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is not None:
            parts.append(f"## {name}\n\n{_first_line(section)}\n\n{_table(section.model_fields.items(), f'{name}.')}")
    parts.append(f'## products."domain/name"\n\n{_first_line(ProductSettings)}\n\n{_table(ProductSettings.model_fields.items(), "")}')
    parts.append(f'## products."domain/name".ports.NAME\n\n{_first_line(PortSettings)}\n\n{_table(PortSettings.model_fields.items(), "")}')
    return "\n".join(parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").splitlines()[0]


def _table(fields: Any, prefix: str) -> str:
    rows = [f"| `{prefix}{name}` | {_default(field)} | {_told(field)} |" for name, field in fields]
    return "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _told(field: FieldInfo) -> str:
    choices = " ".join(f"One of {', '.join(f'`{choice}`' for choice in found)}." for found in _choices(field.annotation))
    return " ".join(part for part in (field.description or "", choices) if part)


def _choices(annotation: Any) -> Iterator[tuple[Any, ...]]:
    if typing.get_origin(annotation) is typing.Literal:
        yield typing.get_args(annotation)
    else:
        for part in typing.get_args(annotation):
            yield from _choices(part)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or isinstance(field.default, SecretStr):
        return "random"
    value = field.default
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        value = ",".join(str(item) for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
