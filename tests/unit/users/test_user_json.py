from __future__ import annotations

import json
import math

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import Credentials, User
from eagle_logger.users.store import NewUser, StoredUser
from eagle_logger.users.user_json import UserBody, as_line, new_user, parse_line
from tests.support.users import lived_in_state

PASSWORD = "one-of-the-passwords"
WRITTEN = {"cloud_id": "00CE69", "user_email": "a@example.org", "user_pw": PASSWORD}


def test_a_line_with_a_password_makes_a_new_user() -> None:
    line = {
        **WRITTEN,
        "intervals": {"demand": 10, "price": 60},
        "price_interval": 120,
        "MacId": "0xD8D5B9000000ABCD",
    }
    assert parse_line(json.dumps(line)) == NewUser(
        User("00ce69", {Kind.DEMAND: 10.0, Kind.PRICE: 120.0}, "0xd8d5b9000000abcd"),
        Credentials("00ce69", "a@example.org", PASSWORD),
    )


def test_an_exported_user_is_read_back_whole() -> None:
    stored = StoredUser(
        User("00ce69", {Kind.DEMAND: 10.0}, "0xd8d5b9000000abcd", in_step=False),
        "gAAAAA",
        lived_in_state(),
        None,
        None,
    )
    assert parse_line(as_line(stored)) == stored
    assert "\n" not in as_line(stored)


@pytest.mark.parametrize("name", ["last_arrival", "asked"])
def test_a_moment_that_is_no_number_is_refused(name: str) -> None:
    line = json.loads(as_line(StoredUser(User("00ce69"), "gAAAAA", lived_in_state(), None, None)))
    line["state"][name] = {"demand": math.inf} if name == "asked" else math.inf
    with pytest.raises(ValueError, match=f"state.{name}.*finite number"):
        parse_line(json.dumps(line))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cloud_id": "ce69"}, "cloud_id: 'ce69' is not a cloud id"),
        ({"cloud_id": 738}, "cloud_id: "),
        ({"user_pw": None}, "user_pw is missing"),
        ({"user_pw": ""}, "user_pw: must have 1 to 256"),
        ({"user_pw": f"{PASSWORD}\r\nCloud-Id: 000000"}, "user_pw: must have 1 to 256"),
        ({"user_email": None}, "user_email is missing"),
        ({"user_email": "x" * 257}, "user_email: must have 1 to 256"),
        ({"sealed": "gAAAAA"}, "sealed stands beside"),
        ({"mac_id": "zz"}, "mac_id: must be a MAC"),
        ({"intervals": {"demand": 0.5}}, "intervals.demand: "),
        ({"intervals": {"weather": 10}}, "intervals.weather.[key]: "),
        ({"message_interval": 1e12}, "message_interval: "),
        ({"password": PASSWORD}, "password: "),
    ],
)
def test_the_error_of_a_line_says_what_is_wrong_and_never_the_password(
    change: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError) as caught:
        parse_line(json.dumps({**WRITTEN, **change}))
    assert str(caught.value).startswith(reason)
    assert PASSWORD not in str(caught.value)


def test_the_error_of_a_line_names_all_its_mistakes() -> None:
    with pytest.raises(ValueError) as caught:
        parse_line(json.dumps({**WRITTEN, "cloud_id": "x", "mac_id": "zz"}))
    assert "cloud_id: " in str(caught.value)
    assert "; mac_id: " in str(caught.value)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse_line(line)


def test_members_from_the_command_line_make_a_new_user() -> None:
    user = new_user(
        {**WRITTEN, "mac_id": None, "demand_interval": None, "price_interval": 60.0}
    ).user
    assert user == User("00ce69", {Kind.PRICE: 60.0})


def test_a_body_of_the_api_makes_the_same_user_as_a_line() -> None:
    members = {
        "user_email": "a@example.org",
        "user_pw": PASSWORD,
        "intervals": {"demand": 10},
        "mac_id": "D8D5B9000000ABCD",
    }
    body = UserBody.model_validate_json(json.dumps(members))
    assert body.new_user("00ce69") == parse_line(json.dumps({**members, "cloud_id": "00ce69"}))
