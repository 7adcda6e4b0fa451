"""Codecs in a confined child process: what a hostile frame does, it does there (promise P7).

The child is started when it is first needed and serves frame after frame. When it dies, takes too long or answers out
of form it is ended, the frame is refused, and the next one gets another child.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

import numpy as np
import numpy.typing as npt

from gateway.errors import ConfigurationError, DecoderUnavailable, DecodingTooLong, PixelsUnreadable
from gateway.pixels import confinement, decoder
from gateway.pixels.confinement import Confinement, missing
from gateway.pixels.decoder import ANSWER, READY, READY_MARK, REQUEST, Codec, Operation, Outcome
from gateway.settings.pixel_settings import PixelSettings

_PIPE: Final = 1 << 20
#: Time for the interpreter and the codecs to load, in seconds, on a busy machine.
_START_SECONDS: Final = 60.0
#: Samples for which a codec has a second more.
_SAMPLES_PER_SECOND: Final = 4e6
#: Coding takes more than decoding, and its input is the gateway's own.
_ENCODING: Final = 4
#: A machine may have so much else to do: seconds on the clock for a second of processor time.
_PATIENCE: Final = 10
#: How often the time is looked at, in seconds.
_LOOK: Final = 0.1
#: What the child's own alarm allows beyond the parent's patience, in seconds.
_ALARM_MARGIN: Final = 5
_REASONS: Final = {
    Outcome.REFUSED: "a codec refuses a frame",
    Outcome.NO_MEMORY: "a frame needs more than {memory} bytes of memory",
    Outcome.OTHER_SIZE: "a frame has another size than the header says",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameClaims:
    """What a codec is told of a frame.

    Attributes
    ----------
    shape
        rows, columns and, for colour, samples
    size
        bytes of a sample: 1, 2 or 4
    signed
        whether samples are two's complement
    bits
        bits of a sample that count
    colour
        whether red, green and blue may be transformed before coding (JPEG 2000, HTJ2K)
    """

    shape: tuple[int, ...]
    size: int
    signed: bool
    bits: int
    colour: bool = False

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return self.shape[2] if len(self.shape) == 3 else 1


class _Deadline:
    """When a child has had enough time: by its processor, and at last by the clock.

    Parameters
    ----------
    child
        the process
    seconds
        of processor time from now on
    patience
        seconds on the clock for each of them
    """

    def __init__(self, child: subprocess.Popen[bytes], seconds: float, *, patience: float = _PATIENCE) -> None:
        # A process's clock of processor time, as clock_getcpuclockid(3) names it.
        self._clock = ~child.pid << 3 | 2
        self.seconds = seconds
        self._processor = self._used() + seconds
        self._end = time.monotonic() + patience * seconds

    def _used(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it is dead, which its pipes will tell
            return 0.0

    @property
    def has_passed(self) -> bool:
        """Whether it has."""
        return self._used() > self._processor or time.monotonic() > self._end


def check_confinement(settings: PixelSettings) -> None:
    """See that codecs can be confined, or need not be.

    Raises
    ------
    ConfigurationError
        they cannot be where they must be
    """
    if settings.confinement == "required" and (why := missing()) is not None:
        raise ConfigurationError(place="pixels.confinement", problem=_refusal(why))


def confinement_notes() -> tuple[str, ...]:
    """What is to be known of codecs that are not confined; empty where they are."""
    why = missing()
    return () if why is None else (f"pixels.confinement: codecs run unconfined: {why}",)


def _refusal(why: str) -> str:
    return f"codecs cannot be confined: {why}; pixels.confinement: preferred lets them run unconfined"


class Sandbox:
    """A decoder process and its limits. Safe for use from several threads, which take turns.

    Parameters
    ----------
    settings
        size of a frame, time and memory for one
    """

    def __init__(self, settings: PixelSettings | None = None) -> None:
        self.settings = settings or PixelSettings()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one. Idempotent; the next frame starts another."""
        with self._lock:
            self._end()

    def decode(
        self, codec: Codec, data: bytes, claims: FrameClaims, *, otherwise: bool = False
    ) -> npt.NDArray[np.generic]:
        """The frame in ``data``, of the shape claimed and of whatever integer type the codec gives.

        Parameters
        ----------
        codec
            how it is coded
        data
            the frame, compressed
        claims
            what the codec is told
        otherwise
            whether another library decodes it than usual; only what ``encode`` writes

        Raises
        ------
        PixelsUnreadable
            the codec refused it, died, took too long or too much, or the frame has another shape
        DecoderUnavailable
            the child cannot be started
        """
        pixels = math.prod(claims.shape)
        operation = Operation.DECODE_OTHERWISE if otherwise else Operation.DECODE
        with self._lock:
            size, signed, content = self._ask(operation, codec, claims, memoryview(data), 4 * pixels)
            if size not in (1, 2, 4) or len(content) != size * pixels:
                self._refuse("its decoder answered out of form")
        return np.frombuffer(content, f"<{'i' if signed else 'u'}{size}").reshape(claims.shape)

    def encode(self, codec: Codec, frame: npt.NDArray[np.generic], claims: FrameClaims) -> bytes:
        """The frame coded without loss.

        Parameters
        ----------
        codec
            how
        frame
            samples of the type and shape claimed
        claims
            what the codec is told

        Raises
        ------
        PixelsUnreadable, DecoderUnavailable
            as for ``decode``
        """
        data = np.ascontiguousarray(frame, f"<{'i' if claims.signed else 'u'}{claims.size}")
        # No lossless coding makes more of noise than twice its size.
        most = 2 * data.nbytes + (1 << 16)
        with self._lock:
            content = data.reshape(-1).view("u1").data
            return bytes(self._ask(Operation.ENCODE, codec, claims, content, most)[2])

    def _ask(
        self,
        operation: Operation,
        codec: Codec,
        claims: FrameClaims,
        data: memoryview,
        most: int,
    ) -> tuple[int, bool, bytearray]:
        """One request and its answer: bytes per sample, sign, data of at most ``most`` bytes."""
        seconds = self.settings.decode_seconds + math.prod(claims.shape) / _SAMPLES_PER_SECOND
        if operation is Operation.ENCODE:
            seconds *= _ENCODING
        request = REQUEST.pack(
            operation,
            codec,
            claims.shape[0],
            claims.shape[1],
            claims.samples,
            claims.size,
            claims.signed,
            claims.bits,
            claims.colour,
            math.ceil(_PATIENCE * seconds) + _ALARM_MARGIN,
            data.nbytes,
        )
        child = self._started()
        if not self._ready:
            ready = self._receive(child, READY.size, _Deadline(child, _START_SECONDS, patience=1))
            mark, given_up = READY.unpack(ready)
            if mark != READY_MARK:
                self._refuse("its decoder answered out of form")
            if self.settings.confinement == "required" and not given_up & Confinement.CALLS:
                self._end()
                raise DecoderUnavailable(reason=_refusal(missing() or "the kernel refused the filter"))
            self._ready = True
        deadline = _Deadline(child, seconds)
        self._send(child, request, deadline)
        self._send(child, data, deadline)
        outcome, size, signed, *_, length = ANSWER.unpack(self._receive(child, ANSWER.size, deadline))
        if outcome == Outcome.DONE and length <= most:
            return size, bool(signed), self._receive(child, length, deadline)
        if outcome not in _REASONS:
            self._refuse("its decoder answered out of form")
        raise PixelsUnreadable(reason=_REASONS[outcome].format(memory=self.settings.memory_bytes))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        command = [sys.executable, "-I", "-B", str(Path(decoder.__file__)), str(self.settings.memory_bytes)]
        command.append(str(Path(confinement.__file__)))
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                # No secret of the gateway's environment; one thread for linear algebra that nobody uses.
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as error:
            raise DecoderUnavailable(reason=os.strerror(error.errno or 0)) from None
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                with suppress(OSError):  # the size is a matter of speed
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        self._child, self._ready = child, False
        return child

    def _send(self, child: subprocess.Popen[bytes], data: bytes | memoryview, deadline: _Deadline) -> None:
        assert child.stdin is not None
        view, descriptor = memoryview(data), child.stdin.fileno()
        while view.nbytes:
            self._wait(descriptor, select.POLLOUT, deadline)
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                continue
            except OSError:
                self._refuse_dead(child)

    def _receive(self, child: subprocess.Popen[bytes], length: int, deadline: _Deadline) -> bytearray:
        assert child.stdout is not None
        data, at, descriptor = bytearray(length), 0, child.stdout.fileno()
        view = memoryview(data)
        while at < length:
            self._wait(descriptor, select.POLLIN, deadline)
            try:
                count = os.readv(descriptor, [view[at:]])
            except BlockingIOError:
                continue
            if not count:
                self._refuse_dead(child)
            at += count
        return data

    def _wait(self, descriptor: int, event: int, deadline: _Deadline) -> None:
        poller = select.poll()
        poller.register(descriptor, event)
        while not poller.poll(_LOOK * 1000):
            if deadline.has_passed:
                self._end()
                raise DecodingTooLong(seconds=f"{deadline.seconds:.2g}")

    def _refuse_dead(self, child: subprocess.Popen[bytes]) -> NoReturn:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=5)
        if not self._ready and (child.returncode or 0) > 0:
            # It ended by itself before its first answer: the codecs are not there, whatever the frame is.
            self._end()
            raise DecoderUnavailable(reason="it does not start; are the packages of the codecs whole?")
        name = signal.Signals(-child.returncode).name if child.returncode and child.returncode < 0 else "an end"
        self._refuse(f"a codec crashed ({name})")

    def _refuse(self, reason: str) -> NoReturn:
        self._end()
        raise PixelsUnreadable(reason=reason)

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
