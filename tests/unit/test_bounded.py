"""What a process remembers has a bound that a year of instances does not move, and how a soak judges that."""

from __future__ import annotations

import functools
import inspect
import pkgutil
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

import gateway
from gateway.deid import ProjectKey
from gateway.deid.value_memory import Items
from gateway.remembering import BoundedMapping
from tests.soak.sizes import Size, judge

#: The most that one memory may hold; the values of an instance count some hundred.
MOST = 16_384
#: Filled by a table that is shipped, not by instances.
BY_TABLE = {"gateway.dicom.iod._level"}


def memories() -> Iterator[tuple[str, functools._lru_cache_wrapper[object]]]:
    """Every cached function of the modules that a service loads."""
    for found in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if found.name.startswith(("gateway.samples", "gateway.cli", "gateway.ledger.migrations", "gateway.__main__")):
            continue
        module = import_module(found.name)
        for one in vars(module).values():
            members = vars(one).values() if inspect.isclass(one) and one.__module__ == found.name else (one,)
            for member in members:
                if isinstance(member, functools._lru_cache_wrapper):
                    wrapped = member.__wrapped__
                    if wrapped.__module__ == found.name:
                        yield f"{found.name}.{wrapped.__qualname__}", member


def test_every_memory_has_a_bound() -> None:
    found = dict(memories())
    assert len(found) > 20
    for name, memory in found.items():
        most = memory.cache_parameters()["maxsize"]
        takes_nothing = not inspect.signature(memory.__wrapped__).parameters
        assert (0 if takes_nothing or name in BY_TABLE else most or MOST + 1) <= MOST, name


def test_uids_take_little_memory() -> None:
    """It was 32 MB for each project in each process, reached after some thousand studies."""
    key = ProjectKey(b"s" * 32)
    key.uid("1.2.3")
    tracemalloc.start()
    for number in range(20_000):
        key.uid(f"1.2.826.0.1.3680043.8.498.{number:030}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4_000_000


def test_what_is_full_forgets_the_oldest_one_for_one() -> None:
    """What forgets everything goes up and down, and a process grows to the sum of the peaks."""
    memory = BoundedMapping[int, str](50)
    for number in range(1000):
        if number % 2:
            assert memory.keep(number, str(number)) == str(number)
        else:
            memory[number] = str(number)
        assert list(memory) == list(range(max(0, number - 49), number + 1))
    memory[990] = "again"
    assert (len(memory), memory[990], memory.get(990), 990 in memory) == (50, "again", "again", True)


@pytest.mark.parametrize("fill", ["update", "setdefault", "__ior__"])
def test_nothing_fills_a_bounded_mapping_past_its_bound(fill: str) -> None:
    memory = BoundedMapping[int, str](2)
    with pytest.raises(TypeError):
        getattr(memory, fill)({1: "one"})
    assert not memory


def test_threads_fill_a_bounded_mapping() -> None:
    memory = BoundedMapping[int, int](8)

    def fill(first: int) -> None:
        for number in range(first, 40_000, 4):
            memory[number] = number

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(4)))
    # One of each thread may come beyond the bound at once.
    assert 8 <= len(memory) <= 12


@pytest.mark.parametrize("size", [0, 40, 2048])
def test_items_are_bounded_by_their_bytes(size: int) -> None:
    items, key = Items(), ((0x00080006,), False)
    held = []
    for number in range(8000):
        items.add((*key, b"%08d" % number + bytes(size)))
        if number % 1000 == 999:
            held.append(sum((*key, b"%08d" % one + bytes(size)) in items for one in range(number + 1)))
    # The latest are there, not more of them than the bound lets, and as many all the time.
    assert (*key, b"00007999" + bytes(size)) in items
    assert (held[-1] * (size + 8)) < 1 << 20
    assert held[-1] == held[-2] > 400


def sizes(*megabytes: float, descriptors: Sequence[int] = ()) -> list[Size]:
    opened = list(descriptors) or [20] * len(megabytes)
    return [Size(round(one * 1e6), count) for one, count in zip(megabytes, opened, strict=True)]


@pytest.mark.parametrize(
    ("course", "faults"),
    [
        # Growth in the warm-up is none; nor are a peak in the middle, and what is given back.
        (sizes(50, 80, 100, 100, 100, 100, 100, 100, 100, 100), []),
        (sizes(50, 80, 100, 100, 140, 140, 100, 100, 100, 100), []),
        (sizes(50, 80, 100, 100, 100, 100, 90, 90, 90, 90), []),
        (sizes(50, 80, 100, 100, 101, 102, 103, 104, 104, 104), []),
        # Slow growth, and growth at the end.
        (sizes(50, 80, 100, 101, 102, 103, 104, 106, 107, 108), ["memory +7.0%"]),
        (sizes(50, 80, 100, 100, 100, 100, 100, 100, 120, 120), ["memory +20.0%"]),
        # Descriptors come and go; one that stays is a leak.
        (sizes(*[100] * 10, descriptors=[9, 9, 20, 25, 20, 25, 30, 20, 25, 20]), []),
        (sizes(*[100] * 10, descriptors=[9, 9, 20, 21, 22, 23, 24, 25, 26, 27]), ["6 descriptors more"]),
    ],
)
def test_what_is_flat(course: list[Size], faults: list[str]) -> None:
    assert list(judge(course, warm_up=2, tolerance=0.05).faults) == faults
