from __future__ import annotations

from contracts.errors import ContractInvalidError, Problem, ProblemCode, nearest_of, quoted
from contracts.names import column_mistake
from contracts.report import Report, dotted
from contracts.yaml_source import read_yaml


def test_a_problem_reads_as_one_line() -> None:
    problem = Problem(ProblemCode.UNKNOWN_KEY, "unknown key", "a.yaml", 3, "spec.slo.x", "y")
    assert str(problem) == 'a.yaml:3: spec.slo.x: unknown key; did you mean "y"? [UNKNOWN_KEY]'
    assert str(Problem(ProblemCode.SYNTAX, "is empty", "a.yaml")) == "a.yaml: is empty [SYNTAX]"


def test_long_reports_are_cut_and_keep_every_problem() -> None:
    error = ContractInvalidError(Problem(ProblemCode.SYNTAX, str(index), "f", index) for index in range(150))
    assert len(error.problems) == 150
    assert str(error).endswith("... and 50 more")
    assert (error.code, error.fault, error.status) == ("CONTRACT_INVALID", "caller", 422)


def test_the_nearest_name_forgives_spelling_case_and_hyphens() -> None:
    assert nearest_of("primary_key", ["primaryKey", "ports"]) == "primaryKey"
    assert nearest_of("custmer", ["customer", "country"]) == "customer"
    assert nearest_of("xyz", ["customer"]) is None
    assert nearest_of("c" * 100, ["c" * 100]) is None


def test_quoted_names_are_short_and_printable() -> None:
    assert quoted("a\nb") == '"a?b"'
    assert quoted("a" * 100) == '"' + "a" * 60 + '..."'


def test_names_that_could_mean_something_to_a_later_stage_are_refused() -> None:
    assert column_mistake("größe in m²") is None
    assert column_mistake("x" * 128) is None
    for name in ("", "  ", 'a"b', "a'b", "a`b", "a\\b", "a\nb", "a\x00", " a", "a ", "x" * 129, "a\u2028b", "a\u202eb", "*"):
        assert column_mistake(name) is not None, name


def test_paths_read_as_in_the_document() -> None:
    assert dotted(("spec", "access", 1, "role")) == "spec.access[1].role"
    assert dotted(("a\x00b",)) == "a?b"


def test_what_was_left_out_is_not_blamed_and_the_rest_keeps_its_place() -> None:
    report = Report(read_yaml("a: [1, 2, 3, 4]", "f"))
    report.leave_out(("a", 2))
    report.leave_out(("a", 0))
    report.add(ProblemCode.WRONG_VALUE, ("a", 1), "the last one")
    report.add(ProblemCode.WRONG_VALUE, ("a",), "about the whole list")
    assert [problem.at for problem in report.problems] == ["a[3]"]


def test_reports_are_bounded() -> None:
    report = Report(read_yaml("a: 1", "f"))
    for _ in range(1_000):
        report.add(ProblemCode.WRONG_VALUE, ("a",), "x")
        report.warn(ProblemCode.WRONG_VALUE, ("a",), "x")
    assert (len(report.problems), len(report.warnings)) == (500, 500)
