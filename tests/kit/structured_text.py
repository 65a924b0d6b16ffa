"""Runs the manual's sample blocks: the part of IEC 61131-3 Structured Text (and SCL) they use.

Not a compiler, and no judge of a vendor's rules: it shows that what stands in the manual does,
scan by scan, what the manual says. A word that it does not know is an error.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

TOKENS = re.compile(
    r"\s*(?://[^\n]*|(?P<time>T#\d+MS)|(?P<number>\d+)|'(?P<text>[^']*)'"
    r'|"(?P<quoted>\w+)"|#?(?P<name>[A-Za-z_]\w*)|%X(?P<slice>\d+)'
    r"|(?P<sign>:=|<>|<=|>=|\.\.|[-+*=<>()\[\],;:.]))",
    re.IGNORECASE,
)
SECTIONS = {"VAR", "VAR_INPUT", "VAR_OUTPUT", "VAR_IN_OUT"}
ORDER = (("OR",), ("AND",), ("=", "<>", "<", ">", "<=", ">="), ("+", "-"), ("*",))
DOES: dict[str, Callable[[Any, Any], Any]] = {
    "OR": lambda a, b: a | b,
    "AND": lambda a, b: a & b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0  # as a PLC: what is no number is 0


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "LEN": len,
    "LEFT": lambda text, length: text[:length],
    "MID": lambda text, length, place: text[place - 1 : place - 1 + length],
    "STRING_TO_INT": _number,
    "STRING_TO_UINT": _number,
    "SHL": lambda word, bits: word << bits & 0xFFFF,
    "BYTE_TO_WORD": int,
    "WORD_TO_UINT": int,
    "ADR": lambda text: text.encode("ascii").ljust(64, b"\0"),
}
ARGUMENTS = {"MID": ("IN", "L", "P"), "LEFT": ("IN", "L")}


class Timer:
    """TON."""

    def __init__(self) -> None:
        self.Q = False
        self._since: float | None = None

    def __call__(self, now: float, IN: bool, PT: float) -> None:  # noqa: N803 - IEC's names
        """One call in a scan."""
        if not IN:
            self._since = None
        elif self._since is None:
            self._since = now
        self.Q = self._since is not None and now - self._since >= PT


class Edge:
    """R_TRIG."""

    def __init__(self) -> None:
        self.Q = False
        self._before = False

    def __call__(self, now: float, CLK: bool) -> None:  # noqa: N803 - IEC's name
        """One call in a scan."""
        del now
        self.Q, self._before = CLK and not self._before, CLK


LITERALS: dict[str, Callable[[str], Any]] = {
    "time": lambda word: int(word[2:-2]) / 1000,
    "number": int,
    "text": str,
}
KINDS: dict[str, Callable[[], Any]] = {
    "BOOL": bool,
    "INT": int,
    "UINT": int,
    "STRING": str,
    "POINTER": lambda: bytes(64),
    "TON": Timer,
    "TON_TIME": Timer,
    "R_TRIG": Edge,
}


class _Return(Exception):  # noqa: N818 - the language's own word
    """RETURN."""


class Block:
    """One function block: `values` are its variables, a call is one scan.

    Args:
        source: Its text, from FUNCTION_BLOCK on.
    """

    def __init__(self, source: str) -> None:
        self.values: dict[str, Any] = {}
        self._now = 0.0
        self._tokens = _split(source)
        self._place = 2  # FUNCTION_BLOCK and its name
        while self._word().upper() in SECTIONS:
            self._declare()
        if self._word().upper() == "BEGIN":
            self._place += 1
        self._begin = self._place

    def __call__(self, now: float, **inputs: Any) -> None:
        """One scan at a moment in seconds."""
        unknown = inputs.keys() - self.values.keys()
        if unknown:
            raise KeyError(unknown)
        self.values |= inputs
        self._now, self._place = now, self._begin
        with contextlib.suppress(_Return):
            self._statements(run=True)

    def _word(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        self._place += 1
        return self._tokens[self._place - 1]

    def _take(self, wanted: str) -> None:
        kind, word = self._next()
        if word.upper() != wanted or kind == "text":
            raise SyntaxError(f"expected {wanted}, got {word} at {self._place}")

    def _is(self, *words: str) -> bool:
        kind = self._tokens[self._place][0] if self._place < len(self._tokens) else ""
        return kind != "text" and self._word().upper() in words

    def _declare(self) -> None:
        self._place += 1
        while not self._is("END_VAR"):
            name = self._next()[1]
            self._take(":")
            kind = self._next()[1].upper()
            if kind == "ARRAY":
                low, high = self._bounds()
                self.values[name] = [0] * (high - low + 1)
            else:
                self.values[name] = KINDS[kind]()
            while not self._is(";"):
                self._place += 1
            self._place += 1
        self._place += 1

    def _bounds(self) -> tuple[int, int]:
        self._take("[")
        low = int(self._next()[1])
        self._take("..")
        return low, int(self._next()[1])

    def _statements(self, *, run: bool) -> None:
        """Up to a word that ends a block, or to the end."""
        ends = {"END_IF", "ELSIF", "ELSE", "END_CASE", "END_FOR", "END_FUNCTION_BLOCK", ""}
        while self._word().upper() not in ends and not self._at_case_label():
            self._statement(run=run)

    def _at_case_label(self) -> bool:
        return self._tokens[self._place][0] == "number" and self._tokens[self._place + 1][1] == ":"

    def _statement(self, *, run: bool) -> None:
        if self._is("IF"):
            self._if(run=run)
        elif self._is("CASE"):
            self._case(run=run)
        elif self._is("FOR"):
            self._for(run=run)
        elif self._is("RETURN"):
            self._place += 2
            if run:
                raise _Return
        elif self._tokens[self._place + 1][1] == "(":
            self._call(run=run)
        else:
            self._assign(run=run)

    def _if(self, *, run: bool) -> None:
        open_ = run
        while self._is("IF", "ELSIF"):
            self._place += 1
            met = bool(self._value())
            self._take("THEN")
            self._statements(run=open_ and met)
            open_ = open_ and not met
        if self._is("ELSE"):
            self._place += 1
            self._statements(run=open_)
        self._end("END_IF")

    def _case(self, *, run: bool) -> None:
        self._place += 1
        chosen = self._value()
        self._take("OF")
        while not self._is("END_CASE"):
            label = int(self._next()[1])
            self._take(":")
            self._statements(run=run and label == chosen)
        self._end("END_CASE")

    def _for(self, *, run: bool) -> None:
        self._place += 1
        name = self._next()[1]
        self._take(":=")
        low = self._value()
        self._take("TO")
        high = self._value()
        self._take("DO")
        body = self._place
        for self.values[name] in range(low, high + 1) if run else ():
            self._place = body
            self._statements(run=True)
        self._place = body
        self._statements(run=False)
        self._end("END_FOR")

    def _end(self, word: str) -> None:
        self._take(word)
        if self._is(";"):
            self._place += 1

    def _call(self, *, run: bool) -> None:
        block = self.values[self._next()[1]]
        named = dict(self._arguments())
        self._take(";")
        if run:
            block(self._now, **named)

    def _arguments(self) -> list[tuple[str, Any]]:
        self._take("(")
        found = []
        while not self._is(")"):
            name = ""
            if self._tokens[self._place + 1][1] == ":=":
                name = self._next()[1].upper()
                self._place += 1
            found.append((name, self._value()))
            if self._is(","):
                self._place += 1
        self._place += 1
        return found

    def _assign(self, *, run: bool) -> None:
        name = self._next()[1]
        index = self._index()
        bit = self._bit()
        self._take(":=")
        value = self._value()
        self._take(";")
        if not run:
            return
        if name not in self.values:
            raise NameError(name)
        if bit is not None:
            old = self.values[name][index] & ~(1 << bit)
            value = old | bool(value) << bit
        if index is None:
            self.values[name] = value
        else:
            self.values[name][index] = value

    def _index(self) -> Any:
        if not self._is("["):
            return None
        self._place += 1
        index = self._value()
        self._take("]")
        return index

    def _bit(self) -> int | None:
        if not self._is(".") or self._tokens[self._place + 1][0] not in ("number", "slice"):
            return None
        self._place += 1
        return int(self._next()[1])

    def _value(self, level: int = 0) -> Any:
        if level == len(ORDER):
            return self._primary()
        value = self._value(level + 1)
        while self._is(*ORDER[level]):
            sign = self._next()[1].upper()
            value = DOES[sign](value, self._value(level + 1))
        return value

    def _primary(self) -> Any:
        kind, word = self._next()
        if kind in LITERALS:
            return LITERALS[kind](word)
        if word == "(":
            value = self._value()
            self._take(")")
            return value
        if word.upper() == "NOT":
            return not self._primary()
        if word.upper() in ("TRUE", "FALSE"):
            return word.upper() == "TRUE"
        return self._named(word)

    def _named(self, word: str) -> Any:
        if self._is("("):
            given = self._arguments()
            order = ARGUMENTS.get(word.upper())
            named = dict(given)
            values = [named[name] for name in order] if order else [value for _, value in given]
            return FUNCTIONS[word.upper()](*values)
        value = self.values[word]
        if (index := self._index()) is not None:
            value = value[index]
        if (bit := self._bit()) is not None:
            return bool(value >> bit & 1)
        if self._is("."):
            self._place += 1
            return getattr(value, self._next()[1])
        return value


def _split(source: str) -> list[tuple[str, str]]:
    """Words with their kinds; comments and white space are gone."""
    found, place = [], 0
    source = source.rstrip()
    while place < len(source):
        match = TOKENS.match(source, place)
        if match is None:
            raise SyntaxError(source[place : place + 40])
        place = match.end()
        if match.lastgroup is not None:
            found.append((match.lastgroup, match[match.lastgroup]))
    return found
