"""What the names of keys begin with (`session:*`, `celery-task-meta-*`), found from the names alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["LONGEST_PREFIX", "MOST_PREFIXES", "OTHERS", "Prefixes", "find_prefixes", "printable"]

OTHERS = "(others)"
"""Where names go that share their beginning with too few."""
MOST_PREFIXES = 200
LONGEST_PREFIX = 100  # characters; what follows in a name is not looked at

_SEPARATORS = (":", "/", "|", ".", "-_")
_MOST_BRANCHES = 200
_FEWEST_NAMES = 20
_FEWEST_OF_MANY = 1e-4
_SHARE_OF_A_NAME_AMONG_IDENTIFIERS = 0.01
_SHARE_TOLD_APART = 0.9
_HEXADECIMAL = re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}")


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The beginnings by which a keyspace's names are told apart; the longest that fits is a name's own."""

    known: frozenset[str]
    _lengths: tuple[int, ...]
    """Of the known ones, the longest first."""

    @classmethod
    def of_known(cls, known: Iterable[str]) -> Prefixes:
        chosen = frozenset(known)
        return cls(chosen, tuple(sorted({len(prefix) for prefix in chosen}, reverse=True)))

    def of(self, name: str) -> str:
        """The prefix of a name; OTHERS for one that begins with none of them.

        Example: `find_prefixes(names).of("rate:api:key_8f3a")` is `rate:api:`.
        """
        for length in self._lengths:
            if (start := name[:length]) in self.known:
                return start
        return OTHERS


def find_prefixes(names: Iterable[str]) -> Prefixes:
    """The prefixes of names, from all of them or from a random sample; at most MOST_PREFIXES.

    A name is read from left to right in tokens, each with the separator that ends it. A token that many names
    share is part of the prefix; where tokens differ from name to name they are identifiers, and the prefix
    ends before them. `:` separates first; `/`, `|`, `.`, `-` and `_`, and the place where a word's digits
    begin, only where no stronger separator does, and behind a prefix only where they tell names apart: the
    `ses_` of `session:ses_8f3a` does not, since all have it. Digits alone, and eight or more hexadecimal
    ones, are identifiers however many share them.

    The number of names that make a token common grows with the number of names: its square root up to 20,
    one in 10,000 of very many. Where more than 200 tokens are common at one place they are identifiers as
    well, save those of 1 % each. Names that no prefix fits are OTHERS.
    """
    cut = [name[:LONGEST_PREFIX] for name in names]
    found: dict[str, int] = {}
    _grow(cut, 0, 0, _fewest(len(cut)), found)
    most_common = sorted(found, key=lambda prefix: (-found[prefix], prefix))[:MOST_PREFIXES]
    return Prefixes.of_known(most_common)


def printable(name: str) -> str:
    """The name with all that is no printable character escaped, bytes that are no UTF-8 as `\\xff`."""
    escaped = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in escaped)


def _grow(names: list[str], at: int, level: int, fewest: int, found: dict[str, int]) -> None:
    """Add to `found` the prefixes of names that share their first `at` characters, and how many have each."""
    rest = names
    for weaker in range(level, len(_TOKENS)):
        branches, others = _split(rest, at, weaker)
        is_along = weaker == level and weaker < _DIGITS
        if not is_along and not _tells_apart(branches, len(rest), is_root=at == 0, level=weaker):
            continue
        rest = others
        for token, same in branches.items():
            _grow(same, at + len(token), weaker, fewest, found)
    if at and len(rest) >= fewest:
        found[names[0][:at]] = len(rest)


def _split(names: Sequence[str], at: int, level: int) -> tuple[Mapping[str, list[str]], list[str]]:
    """The names by their next token where it is common, and those where it is not or where there is none."""
    token_at = _TOKENS[level].match
    by_token: defaultdict[str, list[str]] = defaultdict(list)
    rest = []
    for name in names:
        token = token_at(name, at)
        if token is None:
            rest.append(name)
        else:
            by_token[token[0]].append(name)
    is_part = _is_part_of_a_name if level == 0 else _is_word
    fewest = _fewest(len(names))
    common = {token for token, same in by_token.items() if len(same) >= fewest and is_part(token)}
    if len(common) > _MOST_BRANCHES:
        fewest = math.ceil(_SHARE_OF_A_NAME_AMONG_IDENTIFIERS * len(names))
        common = {token for token in common if len(by_token[token]) >= fewest}
    rest.extend(name for token, same in by_token.items() if token not in common for name in same)
    return {token: by_token[token] for token in common}, rest


def _tells_apart(branches: Mapping[str, Sequence[str]], names: int, *, is_root: bool, level: int) -> bool:
    """Whether tokens of a weaker separator are more than a tag that all identifiers bear, or chance."""
    if not branches or (is_root and level < _DIGITS):
        return bool(branches)
    if min(map(len, branches.values())) < _SHARE_OF_A_NAME_AMONG_IDENTIFIERS * names:
        return False
    return is_root or (len(branches) > 1 and sum(map(len, branches.values())) >= _SHARE_TOLD_APART * names)


def _fewest(names: int) -> int:
    return math.ceil(max(2.0, min(math.sqrt(names), _FEWEST_NAMES), _FEWEST_OF_MANY * names))


def _is_part_of_a_name(token: str) -> bool:
    body = token.strip("".join(_SEPARATORS))
    return not body.isdigit() and _HEXADECIMAL.fullmatch(body) is None


def _is_word(token: str) -> bool:
    """Whether it reads as one: single characters before a separator are common in base64 and the like."""
    body = token.strip("".join(_SEPARATORS))
    return len(body) > 1 and not body[0].isdigit() and _is_part_of_a_name(token)


def _token_patterns() -> tuple[re.Pattern[str], ...]:
    """A token of each level: up to its separator, with no stronger one before; last, a word before digits."""
    up_to = [re.escape("".join(_SEPARATORS[:level + 1])) for level in range(len(_SEPARATORS))]
    ending = [re.compile(f"[^{before}]*[{re.escape(separator)}]")
              for before, separator in zip(up_to, _SEPARATORS, strict=True)]
    return (*ending, re.compile(r"[^\W\d_]{2,}(?=\d)"))


_TOKENS = _token_patterns()
_DIGITS = len(_SEPARATORS)
