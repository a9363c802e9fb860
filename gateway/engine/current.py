"""The engine that answers now: what HTTP asks, whichever snapshot of the mesh that is over."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from domain_adapters.port import Port
from gateway.catalog.snapshot import Product
from gateway.engine.engine import Engine
from gateway.exchange import Form, Frame, Question, Reply, Stream

__all__ = ["Current"]


class Current:
    """Hands every question to ``engine``. A question that was handed over is finished by the engine that has it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def answer(self, question: Question, frame: Frame) -> Coroutine[Any, Any, Reply]:
        """Answer a question, as `Engine.answer`."""
        return self.engine.answer(question, frame)

    def stream(self, question: Question, frame: Frame, form: Form) -> Coroutine[Any, Any, Stream | Reply]:
        """Begin to answer in another form, as `Engine.stream`."""
        return self.engine.stream(question, frame, form)

    def sdl(self, frame: Frame) -> str:
        """Print the schema of the caller's view, as `Engine.sdl`."""
        return self.engine.sdl(frame)

    def note_proof(self, product: Product, port: Port, *, proved: bool, totals: bool | None = None) -> None:
        """Take in what was proved of a port, as `Engine.note_proof`."""
        self.engine.note_proof(product, port, proved=proved, totals=totals)

    def follow(self, engine: Engine) -> None:
        """Let a successor answer from now on."""
        engine.readers.forget_gone()
        self.engine = engine
