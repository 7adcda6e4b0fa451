from __future__ import annotations

from base64 import b64decode

import pytest

from gateway.errors import ConfigurationError
from gateway.web.endpoint import Authorization, Endpoint


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://archive", "archive", "/studies"),
        ("http://archive/", "archive", "/studies"),
        ("https://archive:443/dicom-web/", "archive", "/dicom-web/studies"),
        ("http://archive:443/a/b", "archive:443", "/a/b/studies"),
        ("https://[::1]:8443/x?strategy=A&b=%20", "[::1]:8443", "/x/studies?strategy=A&b=%20"),
        ("http://[fe80::1]/x", "[fe80::1]", "/x/studies"),
    ],
)
def test_urls(url: str, authority: str, target: str) -> None:
    endpoint = Endpoint.parse(url, place="x")
    assert (endpoint.authority, endpoint.target("/studies")) == (authority, target)
    assert endpoint.secure == url.startswith("https")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("archive/dicom-web", "http:// or https://"),
        ("ftp://archive", "http:// or https://"),
        ("http://", "name a host"),
        ("http://:80/x", "name a host"),
        ("http://user:s3cret@archive", "credentials belong under auth"),
        ("http://archive/#x", "fragment"),
        ("http://archive:99999", "malformed"),
        ("http://archive:x", "malformed"),
        ("http://[::1", "malformed"),
        ("http://archive/a b", "printable ASCII"),
        ("http://archive/\r\nX: y", "printable ASCII"),
        ("http://arch\u00efve/", "printable ASCII"),
    ],
)
def test_urls_that_cannot_be_used(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Endpoint.parse(url, place="destinations.archive")
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).startswith("destinations.archive: ")


def test_basic() -> None:
    authorization = Authorization.basic("user", "p\u00e4ss:word", place="x")
    scheme, _, value = authorization.value.partition(" ")
    assert scheme == "Basic"
    assert b64decode(value).decode() == "user:p\u00e4ss:word"
    assert value not in repr(authorization)


@pytest.mark.parametrize(("user", "password"), [("a:b", "c"), ("a\n", "c"), ("a", "c\r\nX: y"), ("a", "\0")])
def test_basic_that_cannot_be_used(user: str, password: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^destinations\.archive: "):
        Authorization.basic(user, password, place="destinations.archive")


@pytest.mark.parametrize("token", ["", "a b", "a\nX: y", "t\u00f6ken"])
def test_bearer_that_cannot_be_used(token: str) -> None:
    with pytest.raises(ConfigurationError, match="bearer token"):
        Authorization.bearer(token, place="x")
