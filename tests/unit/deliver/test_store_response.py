from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.dicomweb.store_response import StoreResponse, read_store_response, reason_of

NAMESPACE = 'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'


def _xml(content: str, attributes: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<NativeDicomModel {attributes}>{content}</NativeDicomModel>'.encode()
    )


def _sequence(tag: str, *items: str) -> str:
    numbered = "".join(f'<Item number="{number}">{item}</Item>' for number, item in enumerate(items, 1))
    return f'<DicomAttribute tag="{tag}" vr="SQ">{numbered}</DicomAttribute>'


def _value(tag: str, value: str) -> str:
    return f'<DicomAttribute tag="{tag}" vr="XX"><Value number="1">{value}</Value></DicomAttribute>'


ONE = _value("00081150", "1.2") + _value("00081155", "2.25.1")
TWO = _value("00081155", "2.25.2")


@pytest.mark.parametrize("attributes", [NAMESPACE, NAMESPACE + ' xml:space="preserve"', ""])
def test_xml(attributes: str) -> None:
    content = (
        _value("00081190", "http://archive/studies/1")
        + _sequence("00081199", ONE + _value("00081196", "45056"), TWO)
        + _sequence("00081198", _value("00081155", "2.25.3") + _value("00081197", "272"))
        + _sequence("0008119a", _value("00081197", "49152"), "")
    )
    assert read_store_response(_xml(content, attributes)) == StoreResponse(
        stored={"2.25.1": 0xB000, "2.25.2": None}, failed={"2.25.3": 0x0110}, other=[0xC000, None]
    )


def test_xml_of_a_server_that_stored_nothing() -> None:
    empty = '<DicomAttribute tag="00081198" vr="SQ"/><DicomAttribute tag="00081199" vr="SQ"/>'
    assert read_store_response(_xml(empty)) == StoreResponse()


@pytest.mark.parametrize(
    "body",
    [
        # a document type declaration, with and without an entity
        b"<!DOCTYPE NativeDicomModel><NativeDicomModel/>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><NativeDicomModel/>',
        # another document, text around it, broken
        b"<html/>",
        b"<NativeDicomModel/>trailing",
        b"<NativeDicomModel><DicomAttribute></NativeDicomModel>",
        b"<NativeDicomModel>&unknown;</NativeDicomModel>",
        # nested without end
        b"<NativeDicomModel>" + b"<Item>" * 100_000,
        b"<NativeDicomModel>" + b"<x>" * 100 + b"</x>" * 100 + b"</NativeDicomModel>",
        # neither
        b"",
        b"\0" * 100,
        b'"text"',
        b"17",
        b"[1]",
        b'[{"00081199": {}}, 1]',
        b"{" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 100_000,
        b'{"00081199": {"vr": "SQ"}',
    ],
)
def test_no_store_response(body: bytes) -> None:
    assert read_store_response(body) is None


def test_json_with_a_byte_order_mark_padding_and_text_numbers() -> None:
    body = {
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["2.25.1\0"]}}]},
        "00081198": {
            "vr": "SQ",
            "Value": [{"00081155": {"Value": ["2.25.2 "]}, "00081197": {"vr": "US", "Value": ["272"]}}],
        },
    }
    text = b"\xef\xbb\xbf" + json.dumps(body).encode()
    assert read_store_response(text) == StoreResponse(stored={"2.25.1": None}, failed={"2.25.2": 272})


@pytest.mark.parametrize("number", [True, -1, 65536, 1.5, "x", "", None, [272], {"a": 1}, "9" * 5000])
def test_reasons_that_are_none(number: object) -> None:
    item = {"00081155": {"Value": ["2.25.1"]}, "00081197": {"Value": [number]}}
    assert read_store_response(json.dumps({"00081198": {"Value": [item]}}).encode()) == StoreResponse(
        failed={"2.25.1": None}
    )


@given(st.binary(max_size=300) | st.text(max_size=300).map(_xml))
def test_any_bytes_are_read_or_not(body: bytes) -> None:
    assert isinstance(read_store_response(body), StoreResponse | None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2.25.1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["00081198", "00081199", "0008119A", "00081155", "00081197", "Value", "vr"]),
            inner,
            max_size=4,
        )
    ),
)


@given(_JSON)
def test_any_json_is_read_or_not(content: object) -> None:
    assert isinstance(read_store_response(json.dumps(content).encode()), StoreResponse | None)


@pytest.mark.parametrize(
    ("number", "decision"),
    [
        (0x0110, "retry"),  # processing failure
        (0x0111, "duplicate"),  # duplicate SOP Instance
        (0x0122, "refuse"),  # SOP Class not supported
        (0x0124, "retry"),  # not authorised
        (0x0213, "retry"),  # resource limitation
        (0xA700, "retry"),  # out of resources
        (0xA7FF, "retry"),
        (0xA900, "refuse"),  # data set does not match SOP Class
        (0xA901, "refuse"),
        (0xB00E, "duplicate"),  # 45070 of the Medical Imaging Server for DICOM
        (0xB00F, "retry"),  # 45071
        (0xC000, "retry"),  # cannot understand
        (0xC122, "refuse"),  # transfer syntax not supported: more exact than Cxxx
        (0x0000, "retry"),  # a failure that calls itself success
        (0x1234, "retry"),  # unknown
        (None, "retry"),  # absent
    ],
)
def test_reasons(number: int | None, decision: str) -> None:
    reason = reason_of(number)
    assert reason.decision == decision
    assert reason.meaning
