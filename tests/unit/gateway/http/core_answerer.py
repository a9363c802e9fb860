"""A small, real Answerer: graphql-core over a schema of three fields. What the HTTP rim is tested with."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from graphql import GraphQLError, OperationType, build_schema, execute, get_operation_ast, print_schema, validate

from gateway.compiler.limits import Limits, check_document, check_variables, parse_document
from gateway.errors import CODES, GatewayError
from gateway.exchange import Frame, Question, Reply

SCHEMA = build_schema(
    """
    type Query { hello(name: String = "mesh"): String who: [String] fails: String slow: String breaks: String }
    type Mutation { touch: Int }
    """
)


class CoreAnswerer:
    """Answers by executing; keeps the frames that it was asked in."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.questions: list[Question] = []
        self.began = asyncio.Event()
        self.cancelled = False

    async def answer(self, question: Question, frame: Frame) -> Reply:
        self.frames.append(frame)
        self.questions.append(question)
        try:
            return await self._executed(question, frame)
        except GatewayError as error:
            body = msgspec.json.encode({"errors": [error.entry()]})
            return Reply(body, has_data=False, refusal=error.code, has_errors=True)

    def sdl(self, frame: Frame) -> str:
        self.frames.append(frame)
        if frame.scope == ("too/large",):
            raise GatewayError("LIMIT_EXCEEDED", "The schema is too large unscoped.")
        return print_schema(SCHEMA)

    async def _executed(self, question: Question, frame: Frame) -> Reply:
        if "slow" in question.query:
            await self._wait()
        if "breaks" in question.query:
            raise ZeroDivisionError("customer@example.com")
        document = parse_document(question.query, Limits())
        check_document(document, Limits())
        check_variables(question.variables, Limits())
        if errors := validate(SCHEMA, document, max_errors=20):
            return _refused("GRAPHQL_VALIDATION_FAILED", errors)
        operation = get_operation_ast(document, question.operation_name)
        if operation is None:
            return _refused("BAD_USER_INPUT", [GraphQLError("Which operation?")])
        if frame.queries_only and operation.operation is not OperationType.QUERY:
            raise GatewayError("METHOD_NOT_ALLOWED", "Only queries can be asked with GET.")
        result = execute(SCHEMA, document, _Root(frame), variable_values=question.variables, operation_name=question.operation_name)
        assert not asyncio.iscoroutine(result)
        if result.data is None and result.errors and all(not error.path for error in result.errors):
            return _refused("BAD_USER_INPUT", result.errors)
        found: dict[str, Any] = {"data": result.data}
        if result.errors:
            found["errors"] = [error.formatted for error in result.errors]
        return Reply(msgspec.json.encode(found), has_data=result.data is not None, has_errors=bool(result.errors), products=("test/hello",))

    async def _wait(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class _Root:
    def __init__(self, frame: Frame) -> None:
        self.who = sorted(frame.caller.roles)

    def hello(self, _info: Any, name: str | None) -> str:
        return f"hello {name}"

    def fails(self, _info: Any) -> str:
        raise GraphQLError("it fails")

    def touch(self, _info: Any) -> int:
        return 1


def _refused(code: str, errors: list[GraphQLError]) -> Reply:
    body = msgspec.json.encode({"errors": [error.formatted for error in errors]})
    return Reply(body, has_data=False, refusal=CODES[code], has_errors=True)
