"""Every promise of the client seam (SPEC B7), against real sockets and a server that keeps none."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain_adapters.addresses import AddressPolicy
from domain_adapters.errors import PortBrokenPromiseError, PortUnavailableError
from domain_adapters.transport import Limits, PooledClient, Tls

from .crooked import PAGE, CrookedServer, Visit, crooked

LOOPBACK = AddressPolicy(loopback=True)
MB = 1_000_000


@pytest.fixture
async def server() -> AsyncIterator[CrookedServer]:
    async with CrookedServer(crooked) as server:
        yield server


@pytest.fixture
async def client(server: CrookedServer) -> AsyncIterator[PooledClient]:
    client = PooledClient(server.origin, policy=LOOPBACK)
    yield client
    await client.aclose()


async def get(client: PooledClient, target: str = "/good", **options: Any) -> Any:
    return await client.send("GET", target, **{"timeout_s": 5.0, "body_max_bytes": MB, **options})


async def test_a_good_answer_arrives_whole(client: PooledClient) -> None:
    answer = await get(client)
    assert (answer.status, answer.body, answer.content_type, answer.retry_after_s) == (200, PAGE, "application/json", None)


@pytest.mark.parametrize("path", ["/chunks", "/until-eof", "/interim", "/gzip", "/identity", "/close"])
async def test_bodies_arrive_whole_however_they_are_framed(client: PooledClient, path: str) -> None:
    assert (await get(client, path)).body == PAGE


async def test_a_large_deflated_body_is_inflated_in_steps(client: PooledClient) -> None:
    assert len((await get(client, "/deflate", body_max_bytes=3 * MB)).body) == 2_000_003


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/redirect", "redirected"),
        ("/more-than-announced", "not_http"),
        ("/answers-twice", "not_http"),
        ("/two-lengths", "not_http"),
        ("/garbage", "not_http"),
        ("/upgrade", "not_http"),
        ("/endless-head", "too_large"),
        ("/endless-interim", "too_large"),
        ("/endless-trailer", "too_large"),
        ("/huge", "too_large"),
        ("/bomb", "too_large"),
        ("/half-gzip", "encoding"),
        ("/no-gzip", "encoding"),
        ("/brotli", "encoding"),
    ],
)
async def test_an_answer_outside_the_protocol_is_a_broken_promise(client: PooledClient, path: str, reason: str) -> None:
    with pytest.raises(PortBrokenPromiseError) as caught:
        await get(client, path)
    assert caught.value.reason == reason
    assert (await get(client)).status == 200


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/truncated", "truncated"),
        ("/truncated-chunks", "truncated"),
        ("/reset", "reset"),
        ("/slow-head", "timeout"),
        ("/slow-body", "timeout"),
    ],
)
async def test_an_answer_that_does_not_arrive_is_unavailable(client: PooledClient, path: str, reason: str) -> None:
    with pytest.raises(PortUnavailableError) as caught:
        await get(client, path, timeout_s=0.3)
    assert caught.value.reason == reason


async def test_redirects_are_never_followed(client: PooledClient, server: CrookedServer) -> None:
    with pytest.raises(PortBrokenPromiseError) as caught:
        await get(client, "/redirect")
    assert server.targets == ["/redirect"]
    assert caught.value.status == 302


async def test_proxies_of_the_environment_are_ignored(client: PooledClient, server: CrookedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await get(client)).status == 200
    assert server.visits[0].headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(("path", "seconds"), [("/busy", 7.0), ("/away", 0.0), ("/away-for-nonsense", None)])
async def test_retry_after_is_read_in_both_forms(client: PooledClient, path: str, seconds: float | None) -> None:
    assert (await get(client, path)).retry_after_s == seconds


@pytest.mark.parametrize("path", ["/slow-head", "/slow-body"])
async def test_cancelling_closes_the_socket_at_once(client: PooledClient, server: CrookedServer, path: str) -> None:
    task = asyncio.create_task(get(client, path, timeout_s=60))
    await server.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        await server.gone.wait()
    assert server.open_now == 0


async def test_a_connection_is_used_again(client: PooledClient, server: CrookedServer) -> None:
    for _ in range(5):
        await get(client)
    assert (server.connections, len(server.visits)) == (1, 5)


async def test_a_connection_that_was_closed_while_idle_is_replaced(client: PooledClient, server: CrookedServer) -> None:
    await get(client)
    server.visits[0].writer.transport.abort()
    await server.gone.wait()
    assert (await get(client)).status == 200
    assert server.connections == 2


async def test_a_read_on_a_connection_that_dies_under_it_is_sent_once_more(server: CrookedServer) -> None:
    async def dies_on_second(visit: Visit) -> None:
        if len(server.visits) == 2:
            visit.writer.transport.abort()
        else:
            await visit.answer(PAGE)

    server.handler = dies_on_second
    client = PooledClient(server.origin, policy=LOOPBACK)
    await get(client)
    assert (await get(client)).status == 200
    assert (server.connections, len(server.visits)) == (2, 3)
    await client.aclose()


async def test_a_read_whose_answer_had_begun_is_not_sent_again(client: PooledClient, server: CrookedServer) -> None:
    await get(client)
    with pytest.raises(PortUnavailableError):
        await get(client, "/truncated")
    assert server.targets == ["/good", "/truncated"]


async def test_bytes_that_nobody_asked_for_end_the_connection(client: PooledClient, server: CrookedServer) -> None:
    await get(client)
    await server.visits[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await server.gone.wait()
    assert (await get(client)).body == PAGE
    assert server.connections == 2


async def test_connections_are_bounded_and_waiting_counts_against_the_time(server: CrookedServer) -> None:
    client = PooledClient(server.origin, policy=LOOPBACK, limits=Limits(connections=2))
    await asyncio.gather(*(get(client) for _ in range(20)))
    assert server.most_open == 2
    held = [asyncio.create_task(get(client, "/slow-head", timeout_s=30)) for _ in range(2)]
    await asyncio.gather(get(client, timeout_s=0.2), return_exceptions=True)
    with pytest.raises(PortUnavailableError, match="in time"):
        await get(client, timeout_s=0.1)
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert (await get(client)).status == 200
    await client.aclose()


async def test_idle_and_old_connections_are_not_used(server: CrookedServer) -> None:
    for limits in (Limits(idle_s=0.0), Limits(age_s=0.0)):
        client = PooledClient(server.origin, policy=LOOPBACK, limits=limits)
        before = server.connections
        await get(client)
        await get(client)
        assert server.connections == before + 2
        await client.aclose()


async def test_a_closed_client_closes_what_is_in_flight_and_opens_nothing(client: PooledClient, server: CrookedServer) -> None:
    task = asyncio.create_task(get(client, "/slow-body", timeout_s=60))
    await server.arrived.wait()
    await client.aclose()
    with pytest.raises(PortUnavailableError):
        await task
    with pytest.raises(PortUnavailableError) as caught:
        await get(client)
    assert caught.value.reason == "closed"


async def test_bodies_and_headers_are_sent_as_given(client: PooledClient, server: CrookedServer) -> None:
    await client.send("POST", "/query?x=%2C", headers=(("traceparent", "00-ab"),), body=b"{}", timeout_s=5, body_max_bytes=MB)
    (visit,) = server.visits
    assert (visit.method, visit.target, visit.body) == ("POST", "/query?x=%2C", b"{}")
    assert (visit.headers["traceparent"], visit.headers["content-type"]) == ("00-ab", "application/json")
    assert visit.headers["accept-encoding"] == "identity"


async def test_compression_is_asked_for_where_configured(server: CrookedServer) -> None:
    client = PooledClient(server.origin, policy=LOOPBACK, compressed=True)
    assert (await get(client, "/gzip")).body == PAGE
    assert server.visits[0].headers["accept-encoding"] == "gzip, deflate"
    await client.aclose()


@pytest.mark.parametrize("target", ["no-slash", "/a b", "/a\r\nX: y", "/ä", ""])
async def test_targets_that_could_split_a_request_are_refused(client: PooledClient, server: CrookedServer, target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        await get(client, target)
    assert server.visits == []


@pytest.mark.parametrize("header", [("X", "a\r\nY: b"), ("X\n", "a"), ("", "a"), ("X", "a\0")])
async def test_headers_that_could_split_a_request_are_refused(client: PooledClient, server: CrookedServer, header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        await get(client, headers=(header,))
    assert server.visits == []


@pytest.mark.parametrize("origin", ["ftp://a", "http://", "http://user@host", "http://u:p@host", "orders:9001"])
def test_other_origins_are_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="http"):
        PooledClient(origin, policy=LOOPBACK)


# -- addresses


async def test_the_connection_goes_to_the_checked_address_and_keeps_the_name(server: CrookedServer) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("169.254.169.254", "127.0.0.1")

    client = PooledClient(f"http://orders.example:{server.port}", policy=LOOPBACK, resolve=resolve)
    assert (await get(client)).status == 200
    await get(client, "/close")
    await get(client)
    assert asked == ["orders.example"]
    assert server.visits[0].headers["host"] == f"orders.example:{server.port}"
    await client.aclose()


async def test_an_unreachable_address_gives_way_to_the_next(server: CrookedServer) -> None:
    async def resolve(host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.9", "127.0.0.1")

    client = PooledClient(f"http://orders.example:{server.port}", policy=LOOPBACK, resolve=resolve)
    assert (await get(client)).status == 200
    await client.aclose()


async def test_a_refused_connection_is_unavailable_and_resolves_anew() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",)

    client = PooledClient("http://orders.example:1", policy=LOOPBACK, resolve=resolve)
    for _ in range(2):
        with pytest.raises(PortUnavailableError) as caught:
            await get(client)
        assert caught.value.reason == "refused"
    assert len(asked) == 2


async def test_a_name_that_resolves_to_nothing_allowed_is_never_connected_to(server: CrookedServer) -> None:
    client = PooledClient(server.origin, policy=AddressPolicy())
    with pytest.raises(PortUnavailableError) as caught:
        await get(client)
    assert caught.value.reason == "address_denied"
    assert server.connections == 0


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    async def resolve(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such host")

    client = PooledClient("http://nowhere.example", policy=LOOPBACK, resolve=resolve)
    with pytest.raises(PortUnavailableError) as caught:
        await get(client)
    assert caught.value.reason == "unresolved"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "100.100.100.200",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "255.255.255.255",
        "240.0.0.1",
        "not an address",
    ],
)
def test_link_local_metadata_multicast_and_unspecified_are_denied_always(address: str) -> None:
    assert not AddressPolicy(loopback=True, private=True).allows(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_by_setting_only(address: str) -> None:
    assert AddressPolicy(loopback=True).allows(address)
    assert not AddressPolicy(private=True).allows(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.3.4", "192.168.1.1", "fd12::1", "100.64.0.1"])
def test_private_networks_are_allowed_by_setting_only(address: str) -> None:
    assert AddressPolicy(private=True).allows(address)
    assert not AddressPolicy(loopback=True).allows(address)


def test_public_addresses_are_allowed_unless_only_others_are() -> None:
    assert AddressPolicy().allows("93.184.216.34")
    assert AddressPolicy().allows("2606:2800:220:1::1")
    only = AddressPolicy(private=True, only=(ipaddress.ip_network("10.1.0.0/16"),))
    assert only.allows("10.1.2.3")
    assert not only.allows("10.2.2.3")
    assert not only.allows("93.184.216.34")
    assert not only.allows("fd12::1")


# -- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Authority")])

    def certify(name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        subject = authority if is_authority else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        )
        if is_authority:
            usage = dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        return builder.sign(authority_key, hashes.SHA256())

    def write(name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )

    write("authority", authority_key, certify("authority", authority_key, is_authority=True))
    for name in ("orders.example", "gateway"):
        key = ec.generate_private_key(ec.SECP256R1())
        write(name, key, certify(name, key, is_authority=False))
    return folder


def tls_server(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "authority.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "orders.example.pem", folder / "orders.example.key")
    return context


async def to_loopback(host: str, port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


async def test_tls_verifies_the_name_at_the_checked_address_and_shows_our_certificate(certificates: Path) -> None:
    context = tls_server(certificates)
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    tls = Tls(str(certificates / "authority.pem"), str(certificates / "gateway.pem"), str(certificates / "gateway.key"))
    peers: list[Any] = []

    async def note(visit: Visit) -> None:
        peers.append(visit.writer.get_extra_info("peercert"))
        await visit.answer(PAGE)

    async with CrookedServer(note, tls=context) as server:
        client = PooledClient(f"https://orders.example:{server.port}", policy=LOOPBACK, tls=tls, resolve=to_loopback)
        assert (await get(client)).body == PAGE
        await client.aclose()
    assert names == ["orders.example"]
    assert ("commonName", "gateway") in peers[0]["subject"][0]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("host", "make"),
    [
        ("payments.example", lambda folder: Tls(str(folder / "authority.pem"), str(folder / "gateway.pem"), str(folder / "gateway.key"))),
        ("orders.example", lambda folder: Tls()),
        ("orders.example", lambda folder: Tls(str(folder / "authority.pem"))),
    ],
    ids=["wrong name", "unknown authority", "no certificate of ours"],
)
async def test_tls_that_does_not_verify_is_unavailable(certificates: Path, host: str, make: Callable[[Path], Tls]) -> None:
    async with CrookedServer(crooked, tls=tls_server(certificates)) as server:
        client = PooledClient(f"https://{host}:{server.port}", policy=LOOPBACK, tls=make(certificates), resolve=to_loopback)
        with pytest.raises(PortUnavailableError):
            await get(client)
        assert server.visits == []
        await client.aclose()


def test_a_key_file_is_not_shown() -> None:
    assert "secret.key" not in repr(Tls("ca.pem", "own.pem", "secret.key"))
