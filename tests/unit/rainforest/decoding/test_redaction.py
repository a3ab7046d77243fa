from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_logger.rainforest.decoding.redaction import LONGEST_SAMPLE, redacted, redacted_detail

KEY = "8ba7f1dee6c4f5cc"


@pytest.mark.parametrize(
    "text",
    [
        f"<InstallCode>0x{KEY}</InstallCode>",
        f"<INSTALLCODE >0x{KEY}",
        f"<LinkKeyHigh>{KEY}</LinkKeyHigh>",
        f"<LinkKeyLow>0x{KEY.upper()}</LinkKeyLow>",
        f'"InstallCode": "0x{KEY}"',
        f'"LinkKeyHigh": "{KEY}',
        f'\\"LinkKeyHigh\\": \\"{KEY}\\"',
        f"<Inst!llCod>0x{KEY}</InstallCode>",
        f"lCode>0x{KEY}</InstallCode>",
        f"0x{KEY}</InstallCode>",
        f"{KEY[9:]}</LinkKeyLow>",
        f"<a InstallCode='0x{KEY}'>",
        f"<Device{KEY}</InstallCode>",
        f"<Device{KEY[:9]}</InstallCode>",
        f"<DeviceMacId>0xd8d5b90iceMacId> {KEY} <",
        f'"DeviceMacId": "0xd8d5b900{KEY}"',
        f"<DeviceMacId>0xd8{KEY}</LinkKeyHigh>",
        f'"SummationDe": "0x{KEY}"',
        f"<SummationInstallCode>0x{KEY}",
        f"<xMacId>0x{KEY}</xMacId>",
        "\0".join(f"<InstallCode>{KEY}<"),
    ],
)
def test_install_code_and_link_keys_do_not_show(text: str) -> None:
    shown = redacted(text).lower()
    assert not any(KEY[at : at + 5] in shown for at in range(len(KEY) - 5))


@pytest.mark.parametrize(
    "text",
    [
        "&lt;Password&gt;hunter2&lt;/Password&gt;",
        "&amp;lt;InstallCode&amp;gt;hunter2&amp;lt;/InstallCode&amp;gt;",
        "<Password><![CDATA[hunter2]]></Password>",
        "<Password><![CDATA[hunter2",
        "<Password>a &amp; hunter2</Password>",
        "<r:Password>hunter2</r:Password>",
        "<Who Password='solar hunter2'>",
        "{'Password': 'hunter2'}",
        '{"LinkKeyHigh": ["solar", "hunter2"]}',
        '{"Password": {"Value": "hunter2"}}',
        r'{"Text": "\"Password\": \"solar, hunter2\""}',
    ],
)
def test_a_named_secret_does_not_show_however_it_is_wrapped(text: str) -> None:
    assert "hunter2" not in redacted(text)


def test_a_password_escaped_as_in_json_does_not_show() -> None:
    assert "hunter" not in redacted(r'{"Text": "no such word: \"hunter\u00fc"}', ['"hunterü'])


@pytest.mark.parametrize(
    "text",
    [
        "Password: hunter2",
        "<Password>hunter2",
        "User=hunter2&x=1",
        "the word hunter2 alone",
        '{"user_password":"hunter2"}',
    ],
)
def test_credentials_do_not_show(text: str) -> None:
    assert "hunter2" not in redacted(text, ["hunter2"])


def test_credentials_are_recognised_by_their_names() -> None:
    assert "hunter2" not in redacted("<Error>bad</Error><Password>hunter2</Password> User: hunter2")


def test_a_password_escaped_as_in_xml_does_not_show() -> None:
    assert "&lt;3&amp;you" not in redacted("no such password: &lt;3&amp;you", ["<3&you"])


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert redacted("wrong: solar-hunter2", ["hunter2", "solar-hunter2"]) == "wrong: [redacted]"


def test_an_email_address_does_not_show() -> None:
    assert "jane" not in redacted("unknown: jane.doe+solar@example.org")


def test_macs_times_and_values_stay() -> None:
    text = (
        "<InstantaneousDemand><DeviceMacId>0xd8d5b9000000abcd</DeviceMacId><TimeStamp>0x1c91ec39</TimeStamp>"
        "<Demand>0x00g3b0</Demand>"
    )
    assert redacted(text) == text
    counter = '"SummationDelivered": "0x00000000061cbd97"'
    assert redacted(counter) == counter


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=3000), st.integers(0, 8))
def test_a_sample_is_never_too_long(text: str, doublings: int) -> None:
    assert len(redacted(text * 2**doublings).encode("utf-8", "surrogatepass")) <= LONGEST_SAMPLE


def test_a_detail_is_one_short_line() -> None:
    assert redacted_detail("Sorry,\r\n  not\tnow " + "x" * 1000).startswith("Sorry, not now xxx")
    assert len(redacted_detail("x" * 1000)) == 200
