"""`calculate_output` of a multi grader: arithmetic over the scores of its graders, and nothing else.

Read by Python's own parser and worked out node by node; no name, attribute or call is looked up anywhere but
in the tables here.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping

from greenroom.errors import MalformedRequest

LONGEST = 1_000
"""Characters."""
MOST_NODES = 200
_LARGEST = 1e15
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: math.pow,
}  # fmt: skip
_FUNCTIONS: Mapping[str, tuple[Callable[..., float], int, int]] = {
    "min": (min, 2, 16), "max": (max, 2, 16), "abs": (abs, 1, 1), "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1), "exp": (math.exp, 1, 1), "sqrt": (math.sqrt, 1, 1), "log": (math.log, 1, 1),
}  # fmt: skip
"""Name → function, least and most arguments."""


class Formula:
    """An expression over named scores. Raises: MalformedRequest for what is no such thing."""

    def __init__(self, text: str, names: frozenset[str], param: str) -> None:
        self._param = param
        self._names = names
        if not text.strip() or len(text) > LONGEST:
            raise self._wrong(f"it must have 1 to {LONGEST:,} characters")
        try:
            self._root = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._wrong("it is no arithmetic") from None
        if sum(1 for _ in ast.walk(self._root)) > MOST_NODES:
            raise self._wrong("it is too long")
        self._check(self._root)

    def value(self, scores: Mapping[str, float]) -> float | None:
        """The result; None where there is none (a division by zero, say)."""
        try:
            result = self._work(self._root, scores)
        except (ArithmeticError, ValueError):
            return None
        return result if math.isfinite(result) else None

    def _wrong(self, why: str) -> MalformedRequest:
        return MalformedRequest(
            f"'{self._param}': {why}. It takes the names of the graders, numbers, + - * / **, and the "
            f"functions {', '.join(_FUNCTIONS)}.",
            self._param,
        )

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                if not abs(number) <= _LARGEST:
                    raise self._wrong("a number is too large")
            case ast.Name(id=name):
                if name not in self._names:
                    raise self._wrong(f"there is no grader '{name[:64]}'")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._check(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                self._check(left)
                self._check(right)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                _, least, most = _FUNCTIONS[name]
                if not least <= len(args) <= most:
                    raise self._wrong(f"'{name}' takes {least} to {most} values")
                for one in args:
                    self._check(one)
            case _:
                raise self._wrong("it holds something else than arithmetic")

    def _work(self, node: ast.expr, scores: Mapping[str, float]) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return scores[name]
            case ast.UnaryOp(op=op, operand=operand):
                value = self._work(operand, scores)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=binary, right=right):
                return _BINARY[type(binary)](self._work(left, scores), self._work(right, scores))
            case ast.Call(func=ast.Name(id=name), args=args):
                return float(_FUNCTIONS[name][0](*(self._work(one, scores) for one in args)))
        raise AssertionError("checked when it was read")
