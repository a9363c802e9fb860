"""What stops a command: a text that says what to do, and no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.service import Service
    from gateway.settings import Settings

__all__ = ["CommandError", "read_text", "service_of", "settings_of", "told"]


class CommandError(Exception):
    """A command cannot do what it was asked. The message is for the person who asked."""


@contextmanager
def told(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds, whose messages say what to do, into a `CommandError`."""
    try:
        yield
    except kinds as error:
        raise CommandError(str(error)) from error


def settings_of(path: Path | None) -> Settings:
    """Load the settings for a command."""
    from gateway.settings import load
    from gateway.settings_source import SettingsError

    try:
        return load(path)
    except SettingsError as error:
        raise CommandError("the settings cannot be used:\n  " + "\n  ".join(error.problems)) from None


def read_text(path: Path) -> str:
    """Read a text file for a command."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not text in UTF-8") from None


def service_of(settings: Settings) -> Service:
    """Build the gateway's inside for a command."""
    from contracts.errors import ContractError
    from gateway import service

    with told(ContractError, ValueError, RuntimeError):
        return service.build(settings)
