"""The server: uvicorn with uvloop and our own bounded HTTP. SIGTERM and SIGINT finish what is in flight, then end with success."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys

import uvicorn
from starlette.types import ASGIApp

from gateway.collector import collector
from gateway.http.memory import keep_memory
from gateway.http.protocol import protocol_of
from gateway.observe import logs
from gateway.settings import Settings

__all__ = ["SWITCH_S", "ListenError", "listen", "serve"]

SWITCH_S = 0.001
"""How long what computes beside the loop keeps the interpreter, for every turn of the loop meanwhile; by default it is five times that."""

_CLOSING_S = 1


class ListenError(Exception):
    """The address cannot be listened on; the message says what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises: `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        what = f"cannot listen on {host}:{port} ({error.strerror})"
        raise ListenError(f"{what}; set http.host and http.port, or stop what listens there") from None


def serve(application: ASGIApp, settings: Settings, listener: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT; give the exit status: 0 after an orderly end, 1 when the start failed."""
    config = uvicorn.Config(
        application,
        http=protocol_of(settings),  # type: ignore[arg-type]  # uvicorn asks for a class of protocol and calls it
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.timeouts.idle_s) or 1,
        timeout_graceful_shutdown=max(1, int(settings.timeouts.shutdown_s) - _CLOSING_S),
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signals again after it has stopped, for those who had the handlers before: that end would be no success.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    host, port = listener.getsockname()[:2]
    logs.event("listening", host=host, port=port)
    keep_memory()
    collector.settle()
    sys.setswitchinterval(SWITCH_S)
    try:
        with contextlib.closing(listener):
            server.run(sockets=[listener])
    except SystemExit:
        return 1
    finally:
        collector.release()
        for number, handler in before.items():
            signal.signal(number, handler)
    logs.event("stopped")
    return 0
