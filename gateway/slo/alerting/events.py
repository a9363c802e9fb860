"""Changes of state as OpenTelemetry events, through whatever exporter the settings name."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import Sequence

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter, LogRecordExporter
from opentelemetry.sdk.resources import Resource

from gateway.slo.alerting.alert import Alert
from gateway.slo.status import SloStatus

__all__ = ["EVENT", "Events", "exporter_of"]

EVENT = "data_product.slo.changed"
_SEVERITY = {SloStatus.MET: SeverityNumber.INFO, SloStatus.BREACHED: SeverityNumber.ERROR}


class Events:
    """A `Sink`; the exporter's own queue and retries carry an event on."""

    name = "events"
    resend_s = None
    tells_replicas_apart = False

    def __init__(self, exporter: LogRecordExporter) -> None:
        self._provider = LoggerProvider(Resource.create({"service.name": "meshgate"}), shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._logger = self._provider.get_logger("meshgate")

    async def send(self, alerts: Sequence[Alert], now: dt.datetime) -> None:
        """Hand all of them to the exporter."""
        for alert in alerts:
            members = {name: value for name, value in alert.members().items() if value is not None and name != "summary"}
            severity = _SEVERITY.get(alert.change.after, SeverityNumber.WARN)
            self._logger.emit(
                timestamp=int(alert.change.at.timestamp() * 1e9),
                observed_timestamp=int(now.timestamp() * 1e9),
                severity_number=severity,
                severity_text=severity.name,
                body=alert.summary(),
                attributes={f"data_product.{name}": value for name, value in members.items()},
                event_name=EVENT,
            )

    async def aclose(self) -> None:
        """Flush and end."""
        await asyncio.to_thread(self._provider.shutdown)


def exporter_of(where: str) -> LogRecordExporter:
    """Make the exporter that the settings name: ``console`` or ``otlp``. Raises: RuntimeError, when its package is not installed."""
    if where == "console":
        return ConsoleLogRecordExporter(out=sys.stdout)
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # type: ignore[import-not-found,unused-ignore]  # an extra, which may be installed
    except ImportError:
        raise RuntimeError("alerts.events is otlp: install opentelemetry-exporter-otlp-proto-http, or set it to off") from None
    exporter: LogRecordExporter = OTLPLogExporter()
    return exporter
