"""What receivers get: signed webhooks, Alertmanager's own format, OpenTelemetry events; and what never reaches them."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain_adapters.addresses import AddressPolicy
from gateway.settings import load
from gateway.settings_sections import AlertSettings
from gateway.settings_source import SettingsError
from gateway.slo.alerting.alert import Alert, SinkError
from gateway.slo.alerting.alertmanager import Alertmanager
from gateway.slo.alerting.alerts import secret_of, sinks_of
from gateway.slo.alerting.events import EVENT, Events, exporter_of
from gateway.slo.alerting.post import Post
from gateway.slo.alerting.webhook import Webhook
from tests.conformance.serving import serving
from tests.unit.contracts.written import contract

from .receiving import AT_RISK, BREACHED, MET, START, UNKNOWN, change, contract_of

SECRET = b"a secret of tests that is long enough to be one"
HERE = AddressPolicy(loopback=True)
NOW = START + dt.timedelta(seconds=5)
DOCS = Path(__file__).parents[5] / "gateway" / "docs" / "alerts.md"


class Inbox:
    """An HTTP server that keeps requests and answers as it is told."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["GET", "POST"])])

    async def _take(self, request: Request) -> Response:
        self.requests.append((f"{request.method} {request.url.path}", dict(request.headers), await request.body()))
        return self.answers.pop(0) if self.answers else Response(status_code=204)


def alert(after: Any = BREACHED, told: Any = None, **more: Any) -> Alert:
    return Alert(change(after, **more), contract_of(docs="https://docs.example.com/orders"), told)


def verification() -> Callable[..., bool]:
    """The check that the documentation shows."""
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    found: Callable[..., bool] = names["is_genuine"]
    return found


# -- webhook -------------------------------------------------------------------------------------------------------------------


async def test_a_webhook_passes_the_check_that_the_documentation_shows_once_and_in_time() -> None:
    inbox, is_genuine, now_s = Inbox(), verification(), NOW.timestamp()
    async with serving(inbox.app) as url:
        webhook = Webhook(Post(f"{url}/hooks/mesh", HERE), lambda: SECRET)
        await webhook.send([alert()], NOW)
        await webhook.aclose()
    ((line, headers, body),) = inbox.requests
    assert line == "POST /hooks/mesh"
    assert headers["content-type"] == "application/json"
    for tampered in (body + b" ", body.replace(b"BREACHED", b"MET")):
        assert not is_genuine(headers, tampered, SECRET, now_s)
    assert not is_genuine(headers, body, b"another secret", now_s)
    assert not is_genuine({**headers, "mesh-timestamp": str(int(now_s) + 1)}, body, SECRET, now_s)
    assert not is_genuine(headers, body, SECRET, now_s + 301)
    assert is_genuine(headers, body, SECRET, now_s)
    assert not is_genuine(headers, body, SECRET, now_s + 1)  # the same once more


async def test_a_webhook_says_what_the_documentation_prints() -> None:
    inbox = Inbox()
    async with serving(inbox.app) as url:
        webhook = Webhook(Post(url, HERE), lambda: SECRET)
        await webhook.send([Alert(change(BREACHED), contract_of())], NOW)
        await webhook.aclose()
    printed = json.loads(re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)[0])
    assert json.loads(inbox.requests[0][2]) == printed


async def test_a_webhook_that_is_tried_again_has_the_same_id_and_a_new_time() -> None:
    inbox = Inbox(Response(status_code=503))
    async with serving(inbox.app) as url:
        webhook = Webhook(Post(url, HERE), lambda: SECRET)
        with pytest.raises(SinkError, match="status 503"):
            await webhook.send([alert()], NOW)
        await webhook.send([alert()], NOW + dt.timedelta(seconds=60))
        await webhook.aclose()
    first, second = (headers for _, headers, _ in inbox.requests)
    assert first["mesh-id"] == second["mesh-id"]
    assert first["mesh-timestamp"] != second["mesh-timestamp"]
    assert first["mesh-signature"] != second["mesh-signature"]


async def test_a_redirect_is_not_followed_and_a_wait_is_passed_on() -> None:
    inbox = Inbox(RedirectResponse("/elsewhere"), Response(status_code=429, headers={"retry-after": "7"}))
    async with serving(inbox.app) as url:
        post = Post(url, HERE)
        with pytest.raises(SinkError, match="redirected"):
            await post.send(b"{}", ())
        with pytest.raises(SinkError) as caught:
            await post.send(b"{}", ())
        await post.aclose()
    assert caught.value.retry_after_s == 7.0
    assert [line for line, _, _ in inbox.requests] == ["POST /", "POST /"]


@pytest.mark.parametrize(
    ("url", "policy", "reason"),
    [
        ("http://127.0.0.1:9/", AddressPolicy(), "address_denied"),
        ("http://10.0.0.1/", AddressPolicy(loopback=True), "address_denied"),
        ("http://169.254.169.254/latest/meta-data", AddressPolicy(loopback=True, private=True), "address_denied"),
        ("http://[::ffff:169.254.169.254]/", AddressPolicy(loopback=True, private=True), "address_denied"),
    ],
)
async def test_addresses_that_are_not_allowed_are_not_asked(url: str, policy: AddressPolicy, reason: str) -> None:
    post = Post(url, policy)
    with pytest.raises(SinkError, match=reason) as caught:
        await post.send(b"{}", ())
    assert "169.254" not in str(caught.value)
    await post.aclose()


async def test_a_secret_that_cannot_be_read_is_a_failure_without_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook(Post("http://127.0.0.1:9/", HERE), lambda: secret_of(f"file:{tmp_path / 'missing'}"))
    with pytest.raises(SinkError) as caught:
        await webhook.send([alert()], NOW)
    assert str(caught.value) == "secret"
    await webhook.aclose()
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    assert secret_of(f"file:{tmp_path / 'secret'}") == SECRET
    monkeypatch.setenv("A_SECRET", "short")
    with pytest.raises(ValueError, match="at least 32"):
        secret_of("env:A_SECRET")
    monkeypatch.delenv("A_SECRET")
    with pytest.raises(KeyError):
        secret_of("env:A_SECRET")


async def test_no_receiver_is_told_a_secret_or_more_than_answers_show() -> None:
    inbox = Inbox()
    async with serving(inbox.app) as url:
        webhook = Webhook(Post(url, HERE), lambda: SECRET)
        await webhook.send([alert(finding="the newest update lies in the future")], NOW)
        await webhook.aclose()
    ((_, headers, body),) = inbox.requests
    assert SECRET not in body + repr(headers).encode()
    assert set(json.loads(body)["changes"][0]) == {
        *("key", "product", "domain", "name", "version", "owner", "objective", "promise", "before", "after", "at"),
        *("figure", "limit", "finding", "summary", "docs", "requestAccess"),
    }


@pytest.mark.parametrize(
    ("after", "figure", "words"),
    [
        (BREACHED, 5_400.0, "does not keep its promise: freshness < 1 hour; it is PT1H30M"),
        (AT_RISK, 3_000.0, "is about to break its promise: freshness < 1 hour; it is PT50M"),
        (UNKNOWN, None, "is not known to keep its promise: freshness < 1 hour"),
        (MET, 60.0, "keeps its promise again: freshness < 1 hour"),
    ],
)
def test_each_state_is_said_in_a_sentence(after: Any, figure: float | None, words: str) -> None:
    assert alert(after, figure=figure).summary() == f"order/orders-daily {words}"
    ratio = alert(BREACHED, objective="accuracy", figure=0.98765, limit=0.999, wording="> 99.9%")
    assert ratio.summary().endswith("accuracy > 99.9%; it is 0.98765")


# -- Alertmanager --------------------------------------------------------------------------------------------------------------


async def told_alertmanager(*alerts: Alert, auth: str | None = None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    inbox = Inbox()
    async with serving(inbox.app) as url:
        sink = Alertmanager(Post(f"{url}/am/", HERE, path="/api/v2/alerts"), resend_s=60.0, auth=auth)
        await sink.send(alerts, NOW)
        await sink.aclose()
    ((line, headers, body),) = inbox.requests
    assert line == "POST /am/api/v2/alerts"
    found: list[dict[str, Any]] = json.loads(body)
    return found, headers


async def test_a_firing_alert_has_labels_that_never_change_and_ends_by_itself_if_it_is_not_told_again() -> None:
    (entry,), _ = await told_alertmanager(alert(BREACHED))
    assert entry["labels"] == {
        "alertname": "DataProductBreached",
        "severity": "critical",
        "domain": "order",
        "product": "orders-daily",
        "major": "2",
        "objective": "freshness",
        "owner": "order-team@company.com",
    }
    assert (entry["startsAt"], entry["endsAt"]) == ("2026-11-23T02:30:00Z", "2026-11-23T02:34:05Z")
    assert entry["annotations"]["runbook_url"] == "https://docs.example.com/orders"
    (other,), _ = await told_alertmanager(alert(BREACHED, figure=9_999.0, at=NOW))
    assert other["labels"] == entry["labels"]


async def test_a_change_between_bad_states_ends_the_one_and_begins_the_other() -> None:
    ended, begun = (await told_alertmanager(alert(BREACHED, AT_RISK)))[0]
    assert (ended["labels"]["alertname"], ended["endsAt"]) == ("DataProductAtRisk", "2026-11-23T02:30:00Z")
    assert begun["labels"]["alertname"] == "DataProductBreached"
    (again,), _ = await told_alertmanager(alert(BREACHED, BREACHED))
    assert again["labels"]["alertname"] == "DataProductBreached"


async def test_what_is_over_is_ended() -> None:
    (entry,), _ = await told_alertmanager(alert(MET, UNKNOWN, finding="the port did not answer: timeout"))
    assert (entry["labels"]["alertname"], entry["endsAt"]) == ("DataProductUnknown", "2026-11-23T02:30:00Z")


async def test_a_change_that_a_skewed_clock_dates_in_the_future_starts_now() -> None:
    (entry,), _ = await told_alertmanager(alert(BREACHED, at=NOW + dt.timedelta(minutes=5)))
    assert entry["startsAt"] == "2026-11-23T02:30:05Z"


async def test_an_alertmanager_may_want_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AM_TOKEN", "t0ken")
    _, headers = await told_alertmanager(alert(), auth="env:AM_TOKEN")
    assert headers["authorization"] == "Bearer t0ken"
    monkeypatch.delenv("AM_TOKEN")
    sink = Alertmanager(Post("http://127.0.0.1:9/", HERE), resend_s=60.0, auth="env:AM_TOKEN")
    with pytest.raises(SinkError, match="credential"):
        await sink.send([alert()], NOW)
    await sink.aclose()


# -- OpenTelemetry -------------------------------------------------------------------------------------------------------------


async def test_a_change_is_an_event_with_the_guides_prefix() -> None:
    exporter = InMemoryLogRecordExporter()
    events = Events(exporter)
    await events.send([alert(BREACHED), alert(MET)], NOW)
    await events.aclose()
    first, second = exporter.get_finished_logs()
    assert first.log_record.event_name == EVENT == "data_product.slo.changed"
    assert first.log_record.severity_text == "ERROR"
    assert second.log_record.severity_text == "INFO"
    attributes = dict(first.log_record.attributes or {})
    assert attributes["data_product.product"] == "order/orders-daily"
    assert attributes["data_product.after"] == "BREACHED"
    assert attributes["data_product.figure"] == 5_400.0
    assert "data_product.finding" not in attributes


def test_events_otlp_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http._log_exporter", None)
    with pytest.raises(RuntimeError, match="opentelemetry-exporter-otlp-proto-http"):
        exporter_of("otlp")


# -- settings ------------------------------------------------------------------------------------------------------------------


async def test_receivers_are_made_from_the_settings() -> None:
    settings = AlertSettings(
        webhook_url="https://hooks.example.com/x",
        webhook_secret="env:SECRET",
        alertmanager_url="http://alertmanager:9093",
        events="console",
    )
    found = sinks_of(settings)
    assert [sink.name for sink in found] == ["webhook", "alertmanager", "events"]
    for sink in found:
        await sink.aclose()
    assert sinks_of(AlertSettings()) == ()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEBHOOK_URL", "https://hooks.example.com", "alerts.webhook_secret: must be set"),
        ("WEBHOOK_SECRET", "s3cr3t", "alerts.webhook_secret: must be a reference"),
        ("WEBHOOK_URL", "ftp://x", "alerts.webhook_url: must be an http"),
        ("ALERTMANAGER_URL", "http://me:pw@x", "must not hold credentials"),
        ("RESEND_S", "1", "alerts.resend_s"),
    ],
)
def test_settings_that_cannot_be_used_are_told_without_repeating_them(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        load(None, {f"MESHGATE_ALERTS__{name}": value})
    assert "s3cr3t" not in str(caught.value)


def test_the_settings_and_windows_that_the_documentation_shows_load(tmp_path: Path) -> None:
    toml = tmp_path / "meshgate.toml"
    toml.write_text(re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)[0])
    settings = load(toml, {})
    assert (settings.alerts.webhook_url, settings.alerts.events) == ("https://hooks.example.com/meshgate", "otlp")
    block = re.findall(r"```yaml\nspec:\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]
    assert [window.reason for window in contract(block).maintenance] == [None, "Migration"]
