"""Scripts of CTP's DicomFilter, which tell what goes on, as CEL conditions.

``![0008,0060].equals("SR") * Rows.isGreaterThan("100")``: operands are tests of elements, ``true.`` and ``false.``;
``!`` binds before ``*`` (and), ``*`` before ``+`` (or); ``//`` begins a comment.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.profile.importers.ctp.ctp_conditions import Inexpressible, Test, condition, differences, joined, negated
from gateway.profile.importers.ctp.ctp_names import UnknownElement, parse_reference
from gateway.sections.yamlfile import suggestion

#: Method -> the test and whether it ignores case.
METHODS: Final = {
    "equals": (Test.EQUALS, False),
    "equalsIgnoreCase": (Test.EQUALS, True),
    "matches": (Test.MATCHES, False),
    "contains": (Test.CONTAINS, False),
    "containsIgnoreCase": (Test.CONTAINS, True),
    "startsWith": (Test.STARTS, False),
    "startsWithIgnoreCase": (Test.STARTS, True),
    "endsWith": (Test.ENDS, False),
    "endsWithIgnoreCase": (Test.ENDS, True),
    "isLessThan": (Test.LESS, False),
    "isGreaterThan": (Test.GREATER, False),
}
_MAXIMUM_DEPTH: Final = 64


class FilterError(ValueError):
    """A filter that cannot be read or said in CEL.

    Attributes
    ----------
    line
        where, from 1
    """

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


class FilterCondition(NamedTuple):
    """A filter in CEL.

    Attributes
    ----------
    text
        the condition that holds for the instances that the filter lets pass
    remarks
        line and what CTP does otherwise there, each once
    """

    text: str
    remarks: tuple[tuple[int, str], ...]


def filter_condition(text: str) -> FilterCondition:
    """The CEL condition of a filter.

    Raises
    ------
    FilterError
        CTP would take the filter as false, or conditions cannot say it; line and reason
    """
    parser = _Parser(text)
    return FilterCondition(parser.parse(), tuple(parser.remarks))


def widest_condition(text: str) -> FilterCondition:
    """A condition that holds wherever the filter may, if some of its tests cannot be said in CEL.

    Such a test counts as true, and as false where the filter negates it.

    Raises
    ------
    FilterError
        the filter cannot be read; CTP takes it as false
    """
    parser = _Parser(text, widens=True)
    return FilterCondition(parser.parse(), tuple(parser.remarks))


def narrowest_condition(text: str) -> FilterCondition:
    """A condition that holds only where the filter surely does: the opposite of ``widest_condition``.

    Raises
    ------
    FilterError
        the filter cannot be read; CTP takes it as false
    """
    parser = _Parser(text, widens=True, positive=False)
    return FilterCondition(parser.parse(), tuple(parser.remarks))


class _Parser:
    def __init__(self, text: str, *, widens: bool = False, positive: bool = True) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._widens = widens
        #: Of a method that it does not know CTP takes the whole filter as false: nothing surely passes.
        self._knows_methods = not (widens and positive)
        #: Whether what cannot be said counts as true: an even number of negations stands around what is read.
        self._positive = positive
        self.remarks: dict[tuple[int, str], None] = {}

    def parse(self) -> str:
        expression = self._sum()
        if self._next():
            raise self._error(f'"{self._next()}" stands where the filter should end')
        return expression

    def _error(self, problem: str) -> FilterError:
        return FilterError(problem, self._line())

    def _line(self) -> int:
        return self._text.count("\n", 0, self._position) + 1

    def _next(self) -> str:
        """The next character that is neither blank nor comment, empty at the end."""
        while self._position < len(self._text):
            if self._text.startswith("//", self._position):
                end = self._text.find("\n", self._position)
                self._position = len(self._text) if end < 0 else end
            elif self._text[self._position].isspace():
                self._position += 1
            else:
                return self._text[self._position]
        return ""

    def _sum(self) -> str:
        parts = [self._product()]
        while self._next() == "+":
            self._position += 1
            parts.append(self._product())
        return joined(parts, "||")

    def _product(self) -> str:
        parts = [self._factor()]
        while self._next() == "*":
            self._position += 1
            parts.append(self._factor())
        return joined(parts, "&&")

    def _factor(self) -> str:
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            raise self._error("the filter is nested too deeply")
        try:
            following = self._next()
            if following == "!":
                self._position += 1
                self._positive = not self._positive
                expression = negated(self._factor())
                self._positive = not self._positive
                return expression
            if following == "(":
                self._position += 1
                expression = self._sum()
                if self._next() != ")":
                    raise self._error("a parenthesis is not closed")
                self._position += 1
                return expression
            if following.isalpha() or following in ("[", "_"):
                return self._operand()
            raise self._error(f'"{following}" stands where a test should begin' if following else "a test is missing")
        finally:
            self._depth -= 1

    def _operand(self) -> str:
        identifier = self._field(".")
        if identifier in ("true", "false"):
            return identifier
        method = self._field("(")
        quoted = self._field(")")
        if method not in METHODS:
            problem = f'"{method[:40]}" is no method{suggestion(method, METHODS)}'
            if self._knows_methods:
                raise self._error(problem)
            return self._unsaid(problem)
        if len(quoted) < 2 or quoted[0] != '"' or quoted[-1] != '"':
            raise self._error(f"the text of {method} does not stand in quotation marks")
        test, ignore_case = METHODS[method]
        try:
            reference = parse_reference(identifier)
            expression = condition(reference, test, quoted[1:-1], ignore_case=ignore_case)
        except (Inexpressible, UnknownElement) as failed:
            return self._unsaid(str(failed))
        self.remarks.update(((self._line(), remark), None) for remark in differences(reference, test))
        return expression

    def _unsaid(self, problem: str) -> str:
        """What stands for a test that cannot be said."""
        if not self._widens:
            raise self._error(problem)
        self.remarks[self._line(), problem] = None
        return "true" if self._positive else "false"

    def _field(self, delimiter: str) -> str:
        """What stands before the next ``delimiter`` outside quotation marks; the position moves behind it."""
        quoted = False
        for position in range(self._position, len(self._text)):
            character = self._text[position]
            if character == '"':
                quoted = not quoted
            elif character == delimiter and not quoted:
                part = self._text[self._position : position].strip()
                self._position = position + 1
                return part
        raise self._error("a quotation mark is not closed" if quoted else f'"{delimiter}" is missing')
