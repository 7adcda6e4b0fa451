"""The header's names and numbers in compressed Pixel Data (promise P11).

Two kinds of bytes, and what counts in them:

| bytes | what counts |
|---|---|
| segments and tables of codestreams, text at the end of coded data | needles of at least four characters |
| coded data, frames that nothing here follows | needles of at least six characters, whatever stands beside them |

In random bytes a needle of six letters in any case is met once in four million megabytes; one of four letters once in
a few hundred. At the end of coded data only what runs up to the end is read, which makes four letters as rare as six
elsewhere. UTF-16 is read as well, and names outside ASCII in every encoding that the needles know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

import re2

from gateway.dicom.comments import Bytes, items
from gateway.dicom.identifying import Kind
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import LimitExceeded
from gateway.verify.needle import Mode, Needle
from gateway.verify.output_reader import Output
from gateway.verify.sparse import SHORTEST, first_marker, text_runs
from gateway.verify.surplus_bytes import UNMARKED, pixel_values
from gateway.verify.text_normalisation import squash_bytes

__all__ = ["coded_kinds"]

#: Shorter needles are met by chance in coded data; in segments and at ends.
_SHORTEST_CODED: Final = SHORTEST
_SHORTEST: Final = 4


def _bytes_options() -> re2.Options:
    """Patterns are bytes; what is wrong with one, which may be a name, is not logged (promise P9)."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return options


_OPTIONS: Final = _bytes_options()
_RUN: Final = re.compile(
    rb"[\x20-\x7e]{%d,}|(?:[\x20-\x7e]\0){%d,}|(?:\0[\x20-\x7e]){%d,}" % (_SHORTEST, _SHORTEST, _SHORTEST)
)
_END_RUN: Final = re.compile(
    rb"(?:[\x20-\x7e]{%d,}|(?:[\x20-\x7e]\0){%d,}|(?:\0[\x20-\x7e]){%d,})\Z" % (_SHORTEST, _SHORTEST, _SHORTEST)
)
#: What may stand behind the last text of coded data.
_PADDING: Final = b"\0\xff\r\n "
_LOOKED_AT: Final = 256
#: What may stand between the letters of a word amid coded data; NUL in UTF-16.
_SEPARATORS: Final = b"\0 ^=,._-"
#: Codes in a row, as ``456789:`` in the tables of Huffman codes that most JPEG images have.
_ROW: Final = 5
_CHUNK: Final = 1 << 20
_OVERLAP: Final = 256
#: Needles times bytes of text: seconds of work (promise P7).
_MOST_WORK: Final = 10_000_000_000

_SIZE: Final = Struct(">H").unpack
_LONG: Final = Struct(">I").unpack
_JPEG: Final = b"\xff\xd8"
_JPEG_2000: Final = b"\xff\x4f"
#: EOI and EOC.
_END: Final = b"\xff\xd9"
#: Markers without a length: SOI, EOI, TEM, RST0 to RST7.
_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xDA)))
_SOS: Final = 0xDA
_SOT, _SOD, _EOC = 0x90, 0x93, 0xD9
#: What the segments that tell colours begin with.
_SIGNATURES: Final = (b"JFIF\0", b"Adobe", b"mrfx")


class _Wanted(NamedTuple):
    """Needles, by where they count."""

    #: In segments and at ends; those of them that count in coded data as well.
    short: tuple[Needle, ...]
    long: tuple[Needle, ...]
    #: The same, with the letters of each, without what separates them.
    joined: tuple[tuple[str, Needle], ...]
    #: Encodings of text outside ASCII: form and needle.
    raw: tuple[tuple[bytes, Needle], ...]
    #: Those of them that are long enough for coded data, as one pattern; None if there are none.
    pattern: re2._Regexp[bytes] | None


@lru_cache(maxsize=32)
def _wanted(needles: frozenset[Needle]) -> _Wanted:
    short = tuple(one for one in needles if len(one.form.replace(" ", "")) >= _SHORTEST)
    long = tuple(one for one in short if len(one.form.replace(" ", "")) >= _SHORTEST_CODED)
    encodings = ((form, one) for one in needles for form in {*one.raw, *one.encoded})
    raw = tuple((form, one) for form, one in encodings if len(form) >= _SHORTEST and not form.isascii())
    forms = sorted({form for form, _ in raw if len(form) >= _SHORTEST_CODED})
    pattern = re2.compile(b"|".join(map(re.escape, forms)), _OPTIONS) if forms else None
    joined = tuple((one.form.replace(" ", ""), one) for one in long)
    return _Wanted(short, long, joined, raw, pattern)


def coded_kinds(
    instance: Instance, output: Output, pixels: PixelChange | None, needles: frozenset[Needle]
) -> list[Kind]:
    """The kinds of the needles that the output's compressed Pixel Data holds, sorted.

    Parameters
    ----------
    instance
        the original
    output
        what was made of it
    pixels
        the change of pixels, None if there was none
    needles
        what must not be found

    Raises
    ------
    LimitExceeded
        so much text in it that the search would take minutes
    """
    syntax = transfer_syntax(output.meta.transfer_syntax)
    if syntax is None or not syntax.encapsulated or not needles:
        return []
    search = _Search(_wanted(needles))
    marked = output.meta.transfer_syntax not in UNMARKED
    with ExitStack() as stack:
        for buffer, start, stop in pixel_values(instance, output, pixels, stack):
            for first, last in list(items(buffer, start, stop))[1:]:
                search.coded(buffer, first, last)
                if marked:
                    search.segments(_segments(buffer, first, last))
    return sorted({needle.kind for needle in search.hits})


class _Search:
    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._work = 0
        #: Segments that were looked at: all frames have the same.
        self._known: set[bytes] = set()
        self.hits: set[Needle] = set()

    def coded(self, buffer: Bytes, start: int, stop: int) -> None:
        """Search a fragment as coded data."""
        while start < stop:
            end = min(stop, start + _CHUNK)
            chunk = bytes(buffer[start:end])
            runs = text_runs(chunk)
            met = self._met(runs) if runs else ()
            if met:
                self._text(runs, met, anywhere=True)
            pattern = self._wanted.pattern
            if pattern is not None:
                forms = set(pattern.findall(chunk))
                self.hits.update(needle for form, needle in self._wanted.raw if form in forms)
            if end == stop:
                return
            start = end - _OVERLAP

    def _met(self, runs: list[bytes]) -> tuple[Needle, ...]:
        """The needles that ``runs`` may hold, whatever separates their letters."""
        text = b"\n".join(runs).lower().translate(None, _SEPARATORS).decode("ascii")
        self._add_work(len(text) * len(self._wanted.long))
        return tuple(needle for joined, needle in self._wanted.joined if joined in text)

    def segments(self, parts: Iterable[tuple[bytes, bool]]) -> None:
        """Search segments, and ends of coded data."""
        for content, is_end in parts:
            if is_end:
                rest = content.rstrip(_PADDING).removesuffix(_END).rstrip(_PADDING)
                run = _END_RUN.search(rest) or _END_RUN.search(rest + b"\0")
                runs = [run.group()] if run is not None else []
                self.hits.update(needle for form, needle in self._wanted.raw if rest.endswith(form))
            else:
                if content in self._known:
                    continue
                self._known.add(content)
                runs = _RUN.findall(content)
                self.hits.update(needle for form, needle in self._wanted.raw if form in content)
            if runs:
                self._text(runs, self._wanted.short, anywhere=is_end)

    def _text(self, runs: list[bytes], needles: tuple[Needle, ...], *, anywhere: bool) -> None:
        """Search runs of text; ``anywhere``: what stands beside a needle is chance."""
        lines = [squash_bytes(_without_rows(run.replace(b"\0", b""))) for run in runs]
        text = " \n ".join(lines)
        joined = "\n".join(line.replace(" ", "") for line in lines) if anywhere else ""
        self._add_work(len(text) * len(needles))
        for needle in needles:
            if needle not in self.hits and (
                needle.form in text or needle.form in joined
                if anywhere or needle.mode is Mode.DATE
                else needle.may_be_in(text)
            ):
                self.hits.add(needle)

    def _add_work(self, work: int) -> None:
        self._work += work
        if self._work > _MOST_WORK:
            raise LimitExceeded(limit=_MOST_WORK, unit="byte comparisons", where="the leak scan of Pixel Data")


def _without_rows(run: bytes) -> bytes:
    """A run of text without codes that follow one another, which are none."""
    first = 0
    while first + _ROW <= len(run):
        stop = first + 1
        while stop < len(run) and run[stop] == run[stop - 1] + 1:
            stop += 1
        if stop - first >= _ROW:
            run = run[:first] + b"\0" + run[stop:]
            stop = first + 1
        first = stop
    return run


def _segments(buffer: Bytes, start: int, stop: int) -> Iterator[tuple[bytes, bool]]:
    """The segments of a fragment that begins as a codestream does, and ends of its coded data; whether it is an end."""
    begin = bytes(buffer[start : start + 2])
    if begin == _JPEG:
        yield from _jpeg(buffer, start + 2, stop)
    elif begin == _JPEG_2000:
        yield from _jpeg_2000(buffer, start + 2, stop)
    else:
        yield bytes(buffer[max(start, stop - _LOOKED_AT) : stop]), True


def _jpeg(buffer: Bytes, pos: int, stop: int) -> Iterator[tuple[bytes, bool]]:
    while pos + 4 <= stop:
        marker = bytes(buffer[pos : pos + 4])
        if marker[0] != 0xFF:
            break
        if marker[1] == 0xFF or marker[1] in _STANDALONE:
            pos += 1 if marker[1] == 0xFF else 2
            continue
        end = min(stop, pos + 2 + max(2, _SIZE(marker[2:])[0]))
        yield _unsigned(bytes(buffer[pos + 4 : end])), False
        pos = end
        if marker[1] == _SOS:
            pos = _next_marker(buffer, end, stop)
            yield bytes(buffer[max(end, pos - _LOOKED_AT) : pos]), True
    yield bytes(buffer[pos:stop][:_CHUNK]) if pos < stop else b"", False


def _unsigned(content: bytes) -> bytes:
    """A segment without what tells its kind."""
    signature = next((one for one in _SIGNATURES if content.startswith(one)), b"")
    return content[len(signature) :]


def _next_marker(buffer: Bytes, pos: int, stop: int) -> int:
    while pos < stop:
        chunk = bytes(buffer[pos : min(stop, pos + _CHUNK)])
        marker = first_marker(chunk)
        if marker >= 0:
            return pos + marker
        if pos + len(chunk) >= stop:
            break
        pos += len(chunk) - 1
    return stop


def _jpeg_2000(buffer: Bytes, pos: int, stop: int) -> Iterator[tuple[bytes, bool]]:
    """Main header, and of each tile part its header and the end of its packets (ISO/IEC 15444-1 A.4)."""
    end_of_part = stop
    while pos + 4 <= stop:
        marker = bytes(buffer[pos : pos + 4])
        if marker[0] != 0xFF or marker[1] == _EOC:
            break
        if marker[1] == _SOD:
            end = max(pos + 2, min(end_of_part, stop))
            yield bytes(buffer[max(pos + 2, end - _LOOKED_AT) : end]), True
            pos = end
            continue
        end = min(stop, pos + 2 + max(2, _SIZE(marker[2:])[0]))
        content = bytes(buffer[pos + 4 : end])
        if marker[1] == _SOT and len(content) >= 6:
            length = _LONG(content[2:6])[0]
            end_of_part = pos + length if length else stop
        else:
            yield content, False
        pos = end
    yield bytes(buffer[pos:stop][:_CHUNK]) if pos < stop else b"", False
