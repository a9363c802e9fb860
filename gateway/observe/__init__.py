"""What those who run the gateway can see of it: logs, traces, metrics. Codes, names, times and counts; never values."""

from gateway.observe.logs import Pseudonym, event, fault
from gateway.observe.metrics import Metrics
from gateway.observe.traces import RequestTrace, begin, span

__all__ = ["Metrics", "Pseudonym", "RequestTrace", "begin", "event", "fault", "span"]
