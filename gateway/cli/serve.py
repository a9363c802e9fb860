"""``meshgate serve``: the gateway, from settings."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

from gateway.cli.failure import CommandError, service_of, settings_of, told

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="run the gateway",
        description="Run the gateway from MESHGATE_* variables and a TOML file. SIGTERM and Ctrl-C finish what is in flight.",
        epilog="example: MESHGATE_HTTP__PORT=8001 meshgate serve --config meshgate.toml    (settings: gateway/docs/settings.md)",
    )
    parser.add_argument("--config", type=Path, help="settings file (default: $MESHGATE_CONFIG)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from gateway import app
    from gateway.http.server import ListenError, listen, serve
    from gateway.observe import logs, traces

    settings = settings_of(chosen.config)
    logs.configure(settings.observe.log_level)
    with told(RuntimeError):
        stop_traces = traces.configure(settings.observe.traces)
    if settings.auth.demo_key is None and settings.auth.jwks_url is None:
        raise CommandError("nobody could be identified: set auth.jwks_url and auth.issuer (or auth.demo_key, for a demo)")
    gc.disable()  # until it serves: what is made on the way stays, and collections would look through all of it again and again
    try:
        built = service_of(settings)
        application = app.build(
            built.answerer,
            settings,
            metrics=built.metrics,
            readiness=built.readiness,
            start=built.start,
            stop=built.aclose,
            anonymous_role=built.policy.anonymous_role,
        )
        with told(ListenError):
            listener = listen(settings.http.host, settings.http.port)
        return serve(application, settings, listener)
    finally:
        gc.enable()
        stop_traces()
