"""A form's name -> what writes it. To add a form: a module beside this one, a line here, a media type in ``http/negotiation``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.compiler.flat import FlatList
from gateway.engine.forms.arrow_stream import ArrowStream, load_arrow
from gateway.engine.forms.csv_text import CsvText
from gateway.engine.forms.json_lines import JsonLines
from gateway.engine.forms.writer import Writer
from gateway.exchange import Form

__all__ = ["writer_of"]


async def writer_of(form: Form, flat: FlatList) -> Callable[[Mapping[str, bytes]], Writer]:
    """Give what makes the writer of a list from receipts, for forms that hold any. **Raises** `GatewayError` NOT_ACCEPTABLE."""
    match form:
        case Form.ARROW:
            pyarrow = await load_arrow()
            return lambda about: ArrowStream(pyarrow, flat, about)
        case Form.JSONL:
            lines = JsonLines(flat)
            return lambda _: lines
        case Form.CSV | Form.CSV_EXACT:
            return lambda _: CsvText(flat, exact=form is Form.CSV_EXACT)
