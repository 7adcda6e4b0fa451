"""The decoder process: its limits, and that nothing that happens in it reaches the gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from gateway.errors import DecoderUnavailable, PixelsUnreadable
from gateway.pixels import decoder
from gateway.pixels import sandbox as sandbox_module
from gateway.pixels.decoder import ANSWER, REQUEST, Codec, Operation, Outcome, load, serve
from gateway.pixels.sandbox import FrameClaims, Sandbox
from gateway.settings.pixel_settings import PixelSettings
from tests.unit.pixels.stored import noise

PIXELS = noise((16, 24), "u1")
STREAM = bytes(imagecodecs.jpeg8_encode(PIXELS, level=90))
CLAIMS = FrameClaims(shape=(16, 24), size=1, signed=False, bits=8)
PLAIN = imagecodecs.jpeg8_decode(STREAM)


def settings(**values: Any) -> PixelSettings:
    return PixelSettings.model_validate(values)


def child_of(sandbox: Sandbox) -> int:
    assert sandbox._child is not None
    return sandbox._child.pid


def test_one_child_serves_many_frames() -> None:
    with Sandbox() as sandbox:
        assert sandbox._child is None
        pids = set()
        for _ in range(3):
            np.testing.assert_array_equal(sandbox.decode(Codec.JPEG, STREAM, CLAIMS), PLAIN)
            pids.add(child_of(sandbox))
        assert len(pids) == 1
    assert sandbox._child is None
    # A closed one starts again when it is needed.
    np.testing.assert_array_equal(sandbox.decode(Codec.JPEG, STREAM, CLAIMS), PLAIN)
    sandbox.close()


def test_threads_take_turns() -> None:
    found: list[Any] = []
    with Sandbox() as sandbox:

        def work() -> None:
            found.extend(sandbox.decode(Codec.JPEG, STREAM, CLAIMS) for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 80
    assert all(np.array_equal(frame, PLAIN) for frame in found)


def test_a_child_that_dies_costs_one_frame() -> None:
    with Sandbox(settings(decode_seconds=30)) as sandbox:
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        first = child_of(sandbox)
        # It stops in the middle of its work, and is killed there.
        os.kill(first, signal.SIGSTOP)
        killer = threading.Timer(0.2, os.kill, (first, signal.SIGKILL))
        killer.start()
        with pytest.raises(PixelsUnreadable, match="crashed"):
            sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        killer.join()
        np.testing.assert_array_equal(sandbox.decode(Codec.JPEG, STREAM, CLAIMS), PLAIN)
        assert child_of(sandbox) != first


def test_a_child_that_died_between_frames_costs_none() -> None:
    with Sandbox() as sandbox:
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        child = sandbox._child
        assert child is not None
        child.kill()
        child.wait()
        np.testing.assert_array_equal(sandbox.decode(Codec.JPEG, STREAM, CLAIMS), PLAIN)


def test_an_endless_codec_is_ended() -> None:
    with Sandbox(settings(decode_seconds=0.3)) as sandbox:
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        endless = child_of(sandbox)
        os.kill(endless, signal.SIGSTOP)
        with pytest.raises(PixelsUnreadable, match=r"did not finish within 0\.3 seconds"):
            sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        with pytest.raises(ProcessLookupError):
            os.kill(endless, 0)


def test_time_is_the_processor_s_and_grows_with_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine costs no frame; a damaged one costs little, and a large one may cost more."""
    asked: list[float] = []

    class Deadline(sandbox_module._Deadline):
        def __init__(self, child: subprocess.Popen[bytes], seconds: float, *, patience: float = 10) -> None:
            if patience > 1:  # than for the start
                asked.append(seconds)
            super().__init__(child, seconds, patience=patience)

    monkeypatch.setattr(sandbox_module, "_Deadline", Deadline)
    with Sandbox(settings(decode_seconds=2)) as sandbox:
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        with pytest.raises(PixelsUnreadable):
            sandbox.decode(Codec.JPEG, STREAM, FrameClaims(shape=(3000, 2400), size=2, signed=False, bits=12))
        sandbox.encode(Codec.RLE, PIXELS, CLAIMS)
    pixels = 16 * 24 / 4e6
    assert asked == [pytest.approx(2 + pixels), pytest.approx(2 + 1.8), pytest.approx(4 * (2 + pixels))]


@pytest.mark.parametrize(("used", "clock", "passed"), [(0.0, 0.0, False), (2.1, 2.1, True), (0.1, 21.0, True)])
def test_when_a_codec_has_had_its_time(
    monkeypatch: pytest.MonkeyPatch, used: float, clock: float, passed: bool
) -> None:
    now = {"used": 5.0, "clock": 7.0}
    monkeypatch.setattr("time.clock_gettime", lambda _: now["used"])
    monkeypatch.setattr("time.monotonic", lambda: now["clock"])
    with Sandbox() as sandbox:
        deadline = sandbox_module._Deadline(sandbox._started(), 2.0)
        now["used"] += used
        now["clock"] += clock
        assert deadline.has_passed is passed


def test_memory_is_limited() -> None:
    stream = bytes(imagecodecs.jpeg2k_encode(np.zeros((8192, 8192), "u1"), codecformat="j2k", reversible=True))
    claims = FrameClaims(shape=(8192, 8192), size=1, signed=False, bits=8)
    # 256 MiB for the samples alone: OpenJPEG has four bytes for each.
    with Sandbox(settings(memory_bytes=64 * 1024**2)) as sandbox:
        with pytest.raises(PixelsUnreadable):
            sandbox.decode(Codec.JPEG_2000, stream, claims)
        np.testing.assert_array_equal(sandbox.decode(Codec.JPEG, STREAM, CLAIMS), PLAIN)


def test_the_child_has_neither_files_nor_processes_nor_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "secret")
    with Sandbox(settings(memory_bytes=64 * 1024**2)) as sandbox:
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)
        process = Path(f"/proc/{child_of(sandbox)}")
        limits = {
            line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()[1:]
        }
        assert limits["Max open files"] == ["0", "0"]
        assert limits["Max processes"] == ["0", "0"]
        assert limits["Max core file size"] == ["0", "0"]
        assert limits["Max file size"] == ["0", "0"]
        assert limits["Max address space"][0] != "unlimited"
        assert b"GATEWAY" not in (process / "environ").read_bytes()
        # The two pipes, the answers' own descriptor and what stands in for standard output and error.
        targets = {str(entry.readlink()) for entry in (process / "fd").iterdir()}
        assert all(target.startswith("pipe:") or target == "/dev/null" for target in targets)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        # More than a frame can have: nothing of that size is allocated.
        (ANSWER.pack(Outcome.DONE, 1, 0, 16, 24, 1, 1 << 62), "out of form"),
        # Another size than the frame's.
        (ANSWER.pack(Outcome.DONE, 1, 0, 16, 24, 1, 3) + b"abc", "out of form"),
        (ANSWER.pack(Outcome.DONE, 3, 0, 16, 24, 1, 1152) + bytes(1152), "out of form"),
        # An outcome that does not exist.
        (ANSWER.pack(99, 0, 0, 0, 0, 0, 0), "out of form"),
        # Half an answer, then the end.
        (ANSWER.pack(Outcome.DONE, 1, 0, 16, 24, 1, 384)[:5], "crashed"),
        (ANSWER.pack(Outcome.DONE, 1, 0, 16, 24, 1, 384) + b"abc", "crashed"),
    ],
)
def test_what_a_taken_over_child_may_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    """A codec that was taken over answers what it likes."""
    script = tmp_path / "child.py"
    script.write_text(
        "import os, sys\n"
        f"os.read(0, {REQUEST.size})\n"
        f"os.write(1, {answer!r})\n"
        f"sys.stdin.buffer.read() if {reason == 'out of form'} else None\n"
    )
    monkeypatch.setattr(decoder, "__file__", str(script))
    with Sandbox() as sandbox:
        # It is taken for one that has answered before.
        sandbox._started()
        sandbox._ready = True
        with pytest.raises(PixelsUnreadable, match=reason):
            sandbox.decode(Codec.JPEG, STREAM, CLAIMS)


def test_codecs_that_are_not_there_are_no_fault_of_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "child.py"
    script.write_text("raise ImportError\n")
    monkeypatch.setattr(decoder, "__file__", str(script))
    with Sandbox() as sandbox, pytest.raises(DecoderUnavailable, match="does not start"):
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)


def test_no_interpreter_is_no_fault_of_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Sandbox() as sandbox, pytest.raises(DecoderUnavailable, match="No such file"):
        sandbox.decode(Codec.JPEG, STREAM, CLAIMS)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        # What the child says of a frame, of nothing, and of another size.
        (STREAM, Outcome.DONE),
        (b"", Outcome.REFUSED),
        (bytes(imagecodecs.jpeg8_encode(noise((16, 25), "u1"))), Outcome.OTHER_SIZE),
    ],
)
def test_what_the_child_answers(data: bytes, outcome: Outcome) -> None:
    answer, _ = serve(load(), Operation.DECODE, Codec.JPEG, [16, 24, 1, 1, 0, 8, 0], bytearray(data))
    assert ANSWER.unpack(answer)[0] == outcome


def test_a_codec_without_memory_says_so() -> None:
    codecs = load()

    def starved(*_: object, **__: object) -> None:
        raise MemoryError

    codecs.jpeg8_decode = starved
    answer, _ = serve(codecs, Operation.DECODE, Codec.JPEG, [16, 24, 1, 1, 0, 8, 0], bytearray(STREAM))
    assert ANSWER.unpack(answer)[0] == Outcome.NO_MEMORY


Encoder = Callable[[Any], bytes | bytearray]


def every_codec() -> list[tuple[Codec, Encoder]]:
    return [
        (Codec.JPEG, lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True)),
        (Codec.JPEG_LS, imagecodecs.jpegls_encode),
        (Codec.JPEG_2000, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True)),
        (Codec.HTJ2K, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    ]


@pytest.mark.parametrize(("codec", "encode"), every_codec())
def test_random_bytes_in_a_stream_never_end_the_sandbox(
    codec: Codec, encode: Callable[[Any], bytes | bytearray]
) -> None:
    """Promise P7: whatever stands in the frame, the answer is a frame of the size claimed or a refusal."""
    stream = bytes(encode(PIXELS))
    random = np.random.default_rng(1)
    with Sandbox(settings(decode_seconds=5)) as sandbox:
        for _ in range(40):
            broken = bytearray(stream)
            for at in random.integers(0, len(broken), 4):
                broken[at] = random.integers(0, 256)
            try:
                frame = sandbox.decode(codec, bytes(broken), CLAIMS)
            except PixelsUnreadable:
                continue
            assert frame.shape == (16, 24)
        np.testing.assert_array_equal(sandbox.decode(codec, stream, CLAIMS), PIXELS)
