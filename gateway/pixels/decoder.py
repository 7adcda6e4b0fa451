"""The child process that runs image codecs, and what it and its parent say to each other.

It is started with this file alone: nothing of the gateway is in it. Codecs are C code that reads hostile bytes; what
happens to them happens here, where no key, no file, no process and no other instance is in reach: before the first
frame the process gives up memory beyond its limit and every system call but those that computing takes
(``confinement.py``, whose place it is told).

It says ``READY`` once, and what it gave up. A request is ``REQUEST`` and the data; the answer is ``ANSWER`` and the
data. Nothing that a codec says in words leaves the process: outcomes are numbers.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sys
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from struct import Struct
from types import SimpleNamespace
from typing import Any, Final

#: Operation, codec, rows, columns, samples, bytes per sample, signed, bits, colour, seconds, bytes of data.
REQUEST: Final = Struct("<BBIIBBBBBIQ")
#: Outcome, bytes per sample, signed, rows, columns, samples, bytes of data.
ANSWER: Final = Struct("<BBBIIBQ")


#: What the process says when it can serve: a mark, and a ``Confinement``.
READY: Final = Struct("<BB")
READY_MARK: Final = 1


class Operation(IntEnum):
    """What is asked for."""

    DECODE = 1
    ENCODE = 2
    #: Decode by another library than the one that ``DECODE`` asks. It knows what ``ENCODE`` writes.
    DECODE_OTHERWISE = 3


class Codec(IntEnum):
    """Which codec."""

    JPEG = 1
    JPEG_LS = 2
    JPEG_2000 = 3
    HTJ2K = 4
    RLE = 5
    DEFLATE = 6


class Outcome(IntEnum):
    """What became of it."""

    DONE = 0
    #: The codec refused the data.
    REFUSED = 1
    #: The memory limit was reached.
    NO_MEMORY = 2
    #: The frame has another size than was asked for.
    OTHER_SIZE = 3


class OtherSize(Exception):
    """A decoded frame is not of the size asked for."""


def main(memory: int, confinement: Path) -> None:
    """Serve requests on standard input until it ends.

    Parameters
    ----------
    memory, confinement: as for ``restrict``
    """
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    codecs = load()
    given_up = restrict(memory, confinement)
    _write(answers, READY.pack(READY_MARK, given_up))
    while True:
        head = _read(REQUEST.size)
        if head is None:
            return
        operation, codec, *claims, seconds, length = REQUEST.unpack(head)
        data = _read(length)
        if data is None:
            return
        # If the parent is gone, nobody else ends a codec that does not.
        signal.alarm(seconds)
        answer, frame = serve(codecs, operation, codec, claims, data)
        signal.alarm(0)
        _write(answers, answer)
        _write(answers, frame)


def load() -> Any:
    """Import every codec: afterwards the process cannot open files any more."""
    import zlib

    import imagecodecs
    import jpeg_ls
    import numpy as np
    import openjpeg.utils
    import rle.rle

    names = (
        "jpeg8_decode",
        "jpegls_decode",
        "jpeg2k_decode",
        "jpeg2k_encode",
        "htj2k_decode",
        "htj2k_encode",
        "packbits_decode",
        "packbits_encode",
    )
    functions = {name: getattr(imagecodecs, name) for name in names}
    return SimpleNamespace(
        np=np,
        zlib=zlib,
        jpegls_encode=jpeg_ls.encode_buffer,
        jpegls_encode_cells=imagecodecs.jpegls_encode,
        # Of other libraries than the decoders above.
        other_jpegls_decode=jpeg_ls.jlsread,
        other_jpeg2k_decode=openjpeg.utils.decode,
        other_rle_decode=rle.rle.decode_frame,
        **functions,
    )


def restrict(memory: int, confinement: Path) -> int:
    """Give up all but computing, and memory beyond ``memory`` bytes more than the process has.

    Parameters
    ----------
    memory: bytes that codecs may allocate
    confinement: the file of the module ``confinement``

    Returns
    -------
    What could be given up: a ``Confinement``.
    """
    present = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    specification = importlib.util.spec_from_file_location("confinement", confinement)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    limits = (
        (resource.RLIMIT_AS, present + memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    )
    return int(module.confine(limits))


def serve(codecs: Any, operation: int, codec: int, claims: list[int], data: bytearray) -> tuple[bytes, Any]:
    """Do what one request asks.

    Parameters
    ----------
    codecs: what ``load`` returned
    operation, codec: numbers of ``Operation`` and ``Codec``
    claims: rows, columns, samples, bytes per sample, signed, bits, colour
    data: a compressed frame, or the samples of one

    Returns
    -------
    The head of the answer and its data.
    """
    rows, columns, samples, *_ = claims
    try:
        if operation == Operation.ENCODE:
            stream = _ENCODERS[Codec(codec)](codecs, codecs.np.frombuffer(data, _type(claims)), claims)
            return ANSWER.pack(Outcome.DONE, 1, 0, 0, 0, 0, len(stream)), stream
        decoders = _OTHER_DECODERS if operation == Operation.DECODE_OTHERWISE else _DECODERS
        array = decoders[Codec(codec)](codecs, data, claims)
        if array.shape != ((rows, columns) if samples == 1 else (rows, columns, samples)):
            return ANSWER.pack(Outcome.OTHER_SIZE, 0, 0, 0, 0, 0, 0), b""
        array = codecs.np.ascontiguousarray(array)
        answer = ANSWER.pack(
            Outcome.DONE, array.itemsize, array.dtype.kind == "i", rows, columns, samples, array.nbytes
        )
        return answer, memoryview(array.reshape(-1).view("u1"))
    except MemoryError:
        return ANSWER.pack(Outcome.NO_MEMORY, 0, 0, 0, 0, 0, 0), b""
    except OtherSize:
        return ANSWER.pack(Outcome.OTHER_SIZE, 0, 0, 0, 0, 0, 0), b""
    except Exception:  # noqa: BLE001  (whatever a codec says of hostile bytes, they are refused)
        return ANSWER.pack(Outcome.REFUSED, 0, 0, 0, 0, 0, 0), b""


# Decoders -----------------------------------------------------------------------------------------------------------


def _jpeg(codecs: Any, data: bytearray, claims: list[int]) -> Any:
    """The components as they are coded, chroma up-sampled, without a conversion of colours."""
    space = "YCBCR" if claims[2] == 3 else "GRAYSCALE"
    return codecs.jpeg8_decode(data, colorspace=space, outcolorspace=space)


def _jpeg_ls(codecs: Any, data: bytearray, _: list[int]) -> Any:
    return codecs.jpegls_decode(data)


def _jpeg_2000(codecs: Any, data: bytearray, _: list[int]) -> Any:
    return codecs.jpeg2k_decode(data, numthreads=1)


def _htj2k(codecs: Any, data: bytearray, _: list[int]) -> Any:
    return codecs.htj2k_decode(data)


def _rle(codecs: Any, data: bytearray, claims: list[int]) -> Any:
    """Byte planes, the most significant of each sample first (PS3.5 G.2)."""
    rows, columns, samples, size, signed, *_ = claims
    np = codecs.np
    count, *offsets = Struct("<16I").unpack_from(data)
    if count != samples * size:
        raise OtherSize
    bounds = [*offsets[:count], len(data)]
    planes = np.empty((rows * columns, samples, size), "u1")
    for number, (begin, end) in enumerate(pairwise(bounds)):
        sample, place = divmod(number, size)
        planes[:, sample, size - 1 - place] = _unpacked(codecs, data[begin:end], rows * columns)
    array = planes.reshape(-1).view(f"<{'i' if signed else 'u'}{size}")
    return array.reshape((rows, columns) if samples == 1 else (rows, columns, samples))


def _unpacked(codecs: Any, segment: bytearray, length: int) -> Any:
    """One byte plane; the byte that pads a segment to an even length is no run (PS3.5 G.3.1)."""
    plane = bytearray(length)
    unpacked = codecs.packbits_decode(bytes(segment), out=plane)
    if len(unpacked) != length:
        raise OtherSize
    return codecs.np.frombuffer(unpacked, "u1")


def _deflate(codecs: Any, data: bytearray, claims: list[int]) -> Any:
    """The bytes of a native frame, deflated (RFC 1951), as one row."""
    rows, columns, *_ = claims
    engine = codecs.zlib.decompressobj(wbits=-15)
    plain = engine.decompress(data, rows * columns)
    if len(plain) != rows * columns or not engine.eof:
        raise OtherSize
    return codecs.np.frombuffer(plain, "u1").reshape(rows, columns)


# Decoders of other libraries, for what is written -------------------------------------------------------------------


def _jpeg_ls_otherwise(codecs: Any, data: bytearray, _: list[int]) -> Any:
    return codecs.other_jpegls_decode(bytes(data))


def _jpeg_2000_otherwise(codecs: Any, data: bytearray, _: list[int]) -> Any:
    """JPEG 2000 and HTJ2K: OpenJPEG reads both; what imagecodecs writes and reads HTJ2K with is OpenJPH."""
    return codecs.other_jpeg2k_decode(bytes(data), j2k_format=0)


def _rle_otherwise(codecs: Any, data: bytearray, claims: list[int]) -> Any:
    rows, columns, samples, size, signed, *_ = claims
    plain = codecs.other_rle_decode(bytes(data), rows * columns, 8 * size, "<")
    planes = codecs.np.frombuffer(plain, f"<{'i' if signed else 'u'}{size}").reshape(samples, rows, columns)
    return planes[0] if samples == 1 else codecs.np.moveaxis(planes, 0, -1)


# Encoders, all without loss -----------------------------------------------------------------------------------------


def _type(claims: list[int]) -> str:
    return f"<{'i' if claims[4] else 'u'}{claims[3]}"


def _shaped(array: Any, claims: list[int]) -> Any:
    rows, columns, samples, *_ = claims
    return array.reshape((rows, columns) if samples == 1 else (rows, columns, samples))


def _to_jpeg_ls(codecs: Any, array: Any, claims: list[int]) -> Any:
    rows, columns, samples, size, _, bits, _ = claims
    # The format knows no sign: the low bits of two's complement go in, and come out again.
    cells = array.view(f"<u{size}")
    low = (cells & ((1 << bits) - 1)).astype(f"<u{1 if bits <= 8 else 2}")
    try:
        return codecs.jpegls_encode(low.tobytes(), rows, columns, samples, bits, 0, 0 if samples == 1 else 2)
    except RuntimeError:
        # It gives tiny frames and noise too little room. The other encoder knows whole cells only.
        return codecs.jpegls_encode_cells(_shaped(cells, claims))


def _to_jpeg_2000(codecs: Any, array: Any, claims: list[int]) -> Any:
    *_, signed, bits, colour = claims
    image = _shaped(array, claims)
    # Of words that hold a byte the codec would take the word for the depth.
    image = image.astype(f"{'i' if signed else 'u'}1") if bits <= 8 else image
    return codecs.jpeg2k_encode(
        image,
        level=0,
        codecformat="j2k",
        reversible=True,
        bitspersample=bits,
        mct=bool(colour),
        numthreads=1,
    )


def _to_htj2k(codecs: Any, array: Any, claims: list[int]) -> Any:
    """A codestream of exactly ``bits`` bits: the codec itself knows only 8, 16 and 32.

    Samples go in level-shifted (ISO/IEC 15444-1 G.1), as signed numbers, which are coded as they are; then the depth
    and sign in the header are set to the true ones. A decoder undoes the shift by them.
    """
    _, _, samples, size, signed, bits, colour = claims
    image = _shaped(array, claims)
    if bits == 8 * size:
        return codecs.htj2k_encode(image, reversible=True, rgb=bool(colour) and samples == 3)
    wide = image.astype(f"<i{max(2, size)}")
    if not signed:
        wide -= 1 << (bits - 1)
    stream = bytearray(codecs.htj2k_encode(wide, reversible=True, rgb=bool(colour) and samples == 3))
    depths = stream.index(b"\xff\x51") + 40
    for component in range(samples):
        stream[depths + 3 * component] = (bits - 1) | (0x80 if signed else 0)
    return stream


def _to_rle(codecs: Any, array: Any, claims: list[int]) -> Any:
    rows, columns, samples, size, *_ = claims
    planes = array.view("u1").reshape(rows, columns, samples, size)
    segments = []
    for sample in range(samples):
        for place in reversed(range(size)):
            # Every row by itself, and an even length (PS3.5 G.3.1).
            packed = codecs.packbits_encode(planes[:, :, sample, place].copy())
            segments.append(packed + b"\0" * (len(packed) % 2))
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    head = Struct("<16I").pack(len(segments), *offsets, *[0] * (15 - len(segments)))
    return head + b"".join(segments)


_DECODERS: Final = {
    Codec.JPEG: _jpeg,
    Codec.JPEG_LS: _jpeg_ls,
    Codec.JPEG_2000: _jpeg_2000,
    Codec.HTJ2K: _htj2k,
    Codec.RLE: _rle,
    Codec.DEFLATE: _deflate,
}
_OTHER_DECODERS: Final = {
    Codec.JPEG_LS: _jpeg_ls_otherwise,
    Codec.JPEG_2000: _jpeg_2000_otherwise,
    Codec.HTJ2K: _jpeg_2000_otherwise,
    Codec.RLE: _rle_otherwise,
}
_ENCODERS: Final = {
    Codec.JPEG_LS: _to_jpeg_ls,
    Codec.JPEG_2000: _to_jpeg_2000,
    Codec.HTJ2K: _to_htj2k,
    Codec.RLE: _to_rle,
}


def _read(length: int) -> bytearray | None:
    """Exactly ``length`` bytes; None if the parent has closed its end."""
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        count = os.readv(0, [view[at:]])
        if not count:
            return None
        at += count
    return data


def _write(descriptor: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
