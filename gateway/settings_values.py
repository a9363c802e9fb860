"""Kinds of values that settings have, and what a group of them keeps to. May reject with a sentence that never quotes a secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

__all__ = ["HttpUrl", "Level", "Names", "Positive", "Reference", "Seconds", "Secret", "Section", "Weight"]

_SECRET_MIN_CHARACTERS = 32


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _http_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if scheme.lower() not in {"http", "https"} or not host:
        raise ValueError("must be an http:// or https:// address")
    if "@" in host:
        raise ValueError("must not hold credentials; use a secret reference")
    return url


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SECRET_MIN_CHARACTERS:
        raise ValueError(f"must have at least {_SECRET_MIN_CHARACTERS} characters")
    return value


def _reference(text: str) -> str:
    kind, _, place = text.partition(":")
    if kind not in {"env", "file"} or not place:
        raise ValueError("must be a reference, env:NAME or file:PATH, never the secret itself")
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A list; in the environment its items are separated by commas."""
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Reference = Annotated[str, AfterValidator(_reference)]
Secret = Annotated[SecretStr, AfterValidator(_long_secret)]
Level = Annotated[Literal[0, 1], BeforeValidator(lambda value: {"0": 0, "1": 1}.get(value, value) if isinstance(value, str) else value)]
Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused, values never repeated in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)
