"""A port behind HTTP: level 1 where the endpoint speaks it, else level 0 in the contract's spelling (SPEC B2, B3).

Answers the endpoint's own page bytes; decodes no row. Rejects what the level cannot do, answers that are not JSON objects, and
everything `transport` rejects; touches the network through its client only. Messages never quote an answer or a key.
"""

from __future__ import annotations

import asyncio
import re

import msgspec

from contracts.model import Contract, OutputPort, Use
from domain_adapters.breaker import Breaker, Circuit
from domain_adapters.endpoint import Endpoint, bearer
from domain_adapters.errors import NoRoomError, PortBrokenPromiseError, PortError, PortRefusedError, PortUnavailableError
from domain_adapters.level0 import Dialect, spelling_of
from domain_adapters.port import Call, Capabilities, Read, chunks_of
from domain_adapters.transport import Answer, Client
from domain_adapters.wire import decode_capabilities, encode_read

__all__ = ["RemotePort"]

# Fewer seconds than this say more about the caller's patience than about the endpoint.
_FAIR_TIMEOUT_S = 1.0
_RETRYABLE = frozenset((408, 425, 429))
_PROBLEM_MAX_BYTES = 8 * 1024
_OBJECT = re.compile(rb"[ \t\r\n]*\{")
_UNAUTHORISED = frozenset((401, 403))


class RemotePort:
    """One output port behind an endpoint.

    While the level is unknown the first question asks for ``/capabilities`` before anything else. What was learnt last is kept
    when a later probe fails.
    """

    def __init__(
        self,
        contract: Contract,
        output: OutputPort,
        endpoint: Endpoint,
        client: Client,
        *,
        breaker: Breaker | None = None,
    ) -> None:
        names = zip(contract.output_ports, contract.port_names, strict=True)
        self.name = next((name for it, name in names if it is output), output.name or output.type)
        """What the contract calls the port (`Contract.port_names`)."""
        self.serves: frozenset[Use] = frozenset(output.serves)
        """The uses that the contract restricts it to, empty for all."""
        self._path = endpoint.path_of(output.path)
        self._auth = endpoint.auth
        self._client = client
        self._breaker = breaker or Breaker()
        self._dialect = Dialect.of(contract, output, self._path)
        self._spelling0 = spelling_of(contract, output)
        self._spelling1 = {field.name: field.name for field in contract.fields}
        self._fixed_level = endpoint.level if endpoint.level is not None else output.level
        self.probed = self._fixed_level == 0
        """Whether the level is known; until then `capabilities` and `split` say the least that the contract promises."""
        self.capabilities: Capabilities = self._dialect.capabilities
        """What the last good probe said; level 0 as the contract spells it until then."""
        self._probing = asyncio.Lock()

    @property
    def spelling(self) -> dict[str, str]:
        """Contract column -> its name in the rows; level 1 speaks the contract's own names."""
        return self._spelling1 if self.capabilities.level == 1 else self._spelling0

    @property
    def circuit(self) -> Circuit:
        """Whether requests pass at the moment."""
        return self._breaker.circuit

    def split(self, read: Read) -> tuple[Read, ...]:
        """Divide a keys read into reads that are one upstream request each; see `port.calls_of`."""
        return chunks_of(read, self.capabilities.keys_max) if self.capabilities.level == 1 else self._dialect.split(read)

    async def read(self, read: Read, call: Call) -> bytes:
        """Answer one page. Raises: `PortError` of every kind."""
        if not self.probed:
            await self.probe(call)
        if self.capabilities.level == 0:
            target = self._dialect.target(read)
            return _json(await self._ask("GET", target, call))
        return _json(await self._ask("POST", f"{self._path}/query", call, encode_read(read)))

    async def slo(self, call: Call) -> bytes:
        """Answer the ``/slo`` document as it stands. Raises: `PortRefusedError` where there is none."""
        return _json(await self._ask("GET", f"{self._path}/slo", call))

    async def schema(self, call: Call) -> bytes:
        """Answer the ``/schema`` document as it stands: a contract or a bare schema."""
        return _json(await self._ask("GET", f"{self._path}/schema", call))

    async def probe(self, call: Call) -> Capabilities:
        """Ask for the capabilities; an endpoint that knows no such document speaks level 0.

        Raises: `PortError` where nothing can be learnt and nothing was known; else what was known stays.
        """
        async with self._probing:
            if self._fixed_level == 0:
                return self.capabilities
            try:
                self.capabilities = await self._asked(call)
                self.probed = True
            except PortError:
                if not self.probed:
                    raise
            return self.capabilities

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _asked(self, call: Call) -> Capabilities:
        try:
            body = _json(await self._ask("GET", f"{self._path}/capabilities", call))
            found = decode_capabilities(body)
        except PortRefusedError as refusal:
            if self._fixed_level == 1 or refusal.status in _UNAUTHORISED:
                raise
            return self._dialect.capabilities
        except PortBrokenPromiseError as broken:
            # Some frameworks answer every path with a page of their own; that is no level 1.
            if self._fixed_level == 1 or self.probed or broken.reason not in {"not_json", "bad_capabilities"}:
                raise
            return self._dialect.capabilities
        return found if found.level == 1 else self._dialect.capabilities

    async def _ask(self, method: str, target: str, call: Call, body: bytes | None = None) -> Answer:
        headers = (*call.headers, *bearer(self._auth))
        self._breaker.enter()
        told = False
        try:
            answer = await self._client.send(
                method, target, headers=headers, body=body, timeout_s=call.timeout_s, body_max_bytes=call.body_max_bytes
            )
            _check_status(answer)
            self._breaker.succeeded()
            told = True
        except PortUnavailableError as failure:
            if failure.reason != "timeout" or call.timeout_s >= _FAIR_TIMEOUT_S:
                self._breaker.failed(failure.retry_after_s)
                told = True
            raise
        except NoRoomError:
            raise
        except PortError:
            self._breaker.succeeded()
            told = True
            raise
        finally:
            if not told:
                self._breaker.abandoned()
        return answer


def _check_status(answer: Answer) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if status in _RETRYABLE or (status >= 500 and status != 501):
        raise PortUnavailableError(
            f"the endpoint answered {status}", reason=f"http_{status}", status=status, retry_after_s=answer.retry_after_s
        )
    if status == 400 and answer.content_type.startswith("application/problem+json"):
        match _problem_code(answer.body):
            case "BAD_CURSOR":
                raise PortRefusedError("the endpoint does not know the cursor, or not any more", reason="bad_cursor", status=status)
            case "UNFIT_TOTAL":
                raise PortRefusedError("a total does not fit its type", reason="unfit_total", status=status)
    raise PortRefusedError(f"the endpoint answered {status}", reason=f"http_{status}", status=status)


class _Problem(msgspec.Struct):
    code: str = ""


def _problem_code(body: bytes) -> str:
    try:
        return msgspec.json.decode(body[:_PROBLEM_MAX_BYTES], type=_Problem).code
    except (ValueError, RecursionError):
        return ""


def _json(answer: Answer) -> bytes:
    body = answer.body.removeprefix(b"\xef\xbb\xbf")
    if body[:1] != b"{" and not _OBJECT.match(body):
        raise PortBrokenPromiseError("the endpoint's answer is not a JSON object", reason="not_json", status=answer.status)
    return body
