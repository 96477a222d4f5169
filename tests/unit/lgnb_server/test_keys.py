from __future__ import annotations

import pytest
from lgnb_server.keys import Keys, authorization_secret, configured_keys, same_secret


def test_the_servers_own_key_and_configured_ones_are_accepted() -> None:
    keys = Keys(["one", "zwölf"])

    assert all(keys.accept(key) for key in (keys.own, "one", "zwölf"))
    assert not any(keys.accept(key) for key in ("", "on", "one ", keys.own[:-1], "\udcff"))


def test_a_key_is_compared_with_every_known_one_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(["one", "two", "three"])
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return one == other

    monkeypatch.setattr("lgnb_server.keys.hmac.compare_digest", compare)
    for candidate in (keys.own, "one", "three", "none of them", "x" * 10_000):
        compared.clear()
        keys.accept(candidate)
        # Its own, that of the operator's application, and the three.
        assert compared == [32] * 5


def test_only_digests_of_configured_keys_are_held() -> None:
    held = vars(Keys(["a-key-of-somebody"]))

    assert "a-key-of-somebody" not in repr(held)


def test_each_server_has_a_key_of_its_own() -> None:
    assert Keys().own != Keys().own
    assert len(Keys().own) >= 40


def test_keys_are_configured_as_a_list_with_commas() -> None:
    assert configured_keys(" one, two ,,") == ["one", "two"]
    assert configured_keys("") == []


def test_secrets_are_compared_whole() -> None:
    assert same_secret("a", "a")
    assert not same_secret("a", "ab")


@pytest.mark.parametrize(
    ("header", "secret"),
    [("Bearer x", "x"), ("token  x ", "x"), ("BEARER x y", "x y"), ("Basic x", None), ("Bearer", None), ("", None)],
)
def test_the_secret_of_an_authorization_header(header: str, secret: str | None) -> None:
    assert authorization_secret(header) == secret
