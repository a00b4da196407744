"""Boolean expressions of Liberty files, compiled to Python.

Syntax and precedence (Liberty user guide): ``'`` behind and ``!`` before an operand invert, then
``^``, then ``&``, ``*`` or a mere space, then ``|`` or ``+``; parentheses and the constants 0, 1.
Python's precedence of ``^`` and ``&`` is the other way round, and so is that of ABC: what goes
to either is written with all parentheses.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

__all__ = ["ExpressionError", "compile_function", "parenthesised"]

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*(?:\[\d+\])?)|(?P<other>[01()'!^&*|+]))")

_OPERAND_START = re.compile(r"[A-Za-z_01(!]")

_Tree: TypeAlias = tuple[Any, ...]
"""("name", pin), ("constant", "0" | "1"), ("!", tree) or (operator, left, right)."""


class ExpressionError(ValueError):
    """Text that is not a boolean expression; the message says why."""


class _Parser:
    """Recursive descent, one method per level of precedence."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ExpressionError(f"has an unknown character at {text[position:]!r}")
            self.tokens.append(match.group().strip())
            position = match.end()
        self.tokens.reverse()

    def peek(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def parse(self) -> _Tree:
        tree = self.disjunction()
        if self.tokens:
            raise ExpressionError(f"must not have {self.peek()!r} behind an expression")
        return tree

    def disjunction(self) -> _Tree:
        tree = self.conjunction()
        while self.peek() in ("|", "+"):
            self.tokens.pop()
            tree = ("|", tree, self.conjunction())
        return tree

    def conjunction(self) -> _Tree:
        tree = self.parity()
        while self.peek() in ("&", "*") or _OPERAND_START.match(self.peek()):
            if self.peek() in ("&", "*"):
                self.tokens.pop()
            tree = ("&", tree, self.parity())
        return tree

    def parity(self) -> _Tree:
        tree = self.operand()
        while self.peek() == "^":
            self.tokens.pop()
            tree = ("^", tree, self.operand())
        return tree

    def operand(self) -> _Tree:
        if not self.tokens:
            raise ExpressionError("must have an operand at its end")
        token = self.tokens.pop()
        if token == "!":
            return ("!", self.operand())
        if token == "(":
            tree = self.disjunction()
            if not self.tokens or self.tokens.pop() != ")":
                raise ExpressionError("must close every parenthesis")
        elif token in ("0", "1"):
            tree = ("constant", token)
        elif _OPERAND_START.match(token):
            tree = ("name", token)
        else:
            raise ExpressionError(f"must have an operand before {token!r}")
        while self.peek() == "'":
            self.tokens.pop()
            tree = ("!", tree)
        return tree


@cache
def _parse(text: str) -> _Tree:
    return _Parser(text).parse()


def parenthesised(text: str) -> str:
    """Return an expression in the operators ``! ^ & |`` with a parenthesis around each.

    Raises
    ------
    ExpressionError
        If ``text`` is not an expression.
    """

    def write(tree: _Tree) -> str:
        match tree:
            case ("!", operand):
                return f"(!{write(operand)})"
            case ("name" | "constant", value):
                return str(value)
            case (operator, left, right):
                return f"({write(left)} {operator} {write(right)})"
        raise AssertionError

    return write(_parse(text))


@cache
def compile_function(text: str, inputs: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    """Return the function of a sequence of operands, one per name in ``inputs``.

    The operands are integers or integer arrays; each bit is a case of its own.

    Raises
    ------
    ExpressionError
        If ``text`` is not an expression of ``inputs``.
    """

    def write(tree: _Tree) -> str:
        match tree:
            case ("name", name) if name in inputs:
                return f"x[{inputs.index(name)}]"
            case ("name", name):
                raise ExpressionError(f"names {name}, which is not an input")
            case ("constant", value):
                # Of the type and shape of the operands.
                return "(x[0] ^ x[0])" if value == "0" else "~(x[0] ^ x[0])"
            case ("!", operand):
                return f"(~{write(operand)})"
            case (operator, left, right):
                return f"({write(left)} {operator} {write(right)})"
        raise AssertionError

    # What is evaluated consists of subscripts and operators alone, whatever the file held.
    function: Callable[[Sequence[Any]], Any] = eval(f"lambda x: {write(_parse(text))}")
    return function
