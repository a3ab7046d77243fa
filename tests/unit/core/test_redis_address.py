from __future__ import annotations

import pytest

from eagle_logger.core.redis_address import RedisAddress

ADDRESSES = {
    "redis://": RedisAddress(),
    "redis://h": RedisAddress("h"),
    "redis://h:": RedisAddress("h"),
    "redis://h:7000": RedisAddress("h", 7000),
    "redis://:7000": RedisAddress("localhost", 7000),
    "redis:///3": RedisAddress(database=3),
    "redis://h:7000/": RedisAddress("h", 7000),
    "redis://h:7000/?": RedisAddress("h", 7000),
    "redis://h:7000/3": RedisAddress("h", 7000, database=3),
    "redis://h:7000?db=3": RedisAddress("h", 7000, database=3),
    "redis://h:7000/?db=3": RedisAddress("h", 7000, database=3),
    "redis://h:7000/3?db=3": RedisAddress("h", 7000, database=3),
    "REDIS://H/3\n": RedisAddress("h", database=3),
    "redis://:word@h/0": RedisAddress("h", password="word"),
    "redis://user:word@h/0": RedisAddress("h", username="user", password="word"),
    "redis://user@h/0": RedisAddress("h", username="user"),
    "redis://us%40er:p%2Fa%3Fs%23s%25%3Aw%20d%3B@h/0": RedisAddress(
        "h", username="us@er", password="p/a?s#s%:w d;"
    ),
    "redis://:p@ss@h/0": RedisAddress("h", password="p@ss"),
    "redis://:p+w@h/0": RedisAddress("h", password="p+w"),
    "redis://[::1]/3": RedisAddress("::1", database=3),
    "redis://:word@[2001:db8::7]:7000/3": RedisAddress(
        "2001:db8::7", 7000, password="word", database=3
    ),
    "rediss://h": RedisAddress("h", tls=True),
    "rediss://user:word@h:7000?db=3": RedisAddress(
        "h", 7000, tls=True, username="user", password="word", database=3
    ),
    "rediss://h/0?ssl_cert_reqs=required": RedisAddress("h", tls=True),
    "rediss://h/0?ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=true": RedisAddress("h", tls=True),
    "unix:///run/redis.sock": RedisAddress(socket="/run/redis.sock"),
    "unix:///run/redis.sock?db=3": RedisAddress(socket="/run/redis.sock", database=3),
    "unix://user:w%40rd@/run/a%20b.sock?db=3": RedisAddress(
        socket="/run/a b.sock", username="user", password="w@rd", database=3
    ),
    "redis+socket:///run/redis.sock": RedisAddress(socket="/run/redis.sock"),
    "redis+socket://:word@/run/redis.sock?virtual_host=3": RedisAddress(
        socket="/run/redis.sock", password="word", database=3
    ),
}
"""Every form that a setting may have, and what it means. `tests/integration/workers` shows what
each program makes of it."""

REFUSED = {
    "": "must begin with redis://",
    "localhost:6379": "must begin with redis://",
    "http://h": "must begin with redis://",
    "valkey://h": "must begin with redis://",
    "redis+sentinel://h": "must begin with redis://",
    "sentinel://h:26379/0": "Sentinel",
    "redis://h:six": "is no URL",
    "redis://h:70000": "is no URL",
    "redis://h:0": "port 0",
    "redis://[::1": "is no URL",
    "redis://::1/0": "is no URL",
    "redis://:swordfish/with-slash@h/0": "is no URL",
    "redis://:sword?fish@h/0": "is no URL",
    "redis://:sword#fish@h/0": "is no URL",
    "redis://h/0#swordfish": "%23",
    "redis://h;redis://other": "more than one host",
    "redis://a,b/0": "more than one host",
    "redis://h/swordfish": "no number",
    "redis://h/-1": "no number",
    "redis://h/0/1": "no number",
    "redis://h?db=": "no number",
    "redis://h?db=²": "no number",
    "redis://h/1?db=2": "two databases",
    "redis://h?db=1&db=2": "twice",
    "redis://h?health_check_interval=30": "health_check_interval",
    "redis://h?socket_timeout=1": "socket_timeout",
    "redis://h?password=swordfish": "password behind the ?",
    "redis://h?swordfish": "an option behind the ?",
    "rediss://h?ssl_cert_reqs=none": "EAGLE_REDIS_CA",
    "rediss://h?ssl_cert_reqs=CERT_NONE": "EAGLE_REDIS_CA",
    "rediss://h?ssl_cert_reqs=optional": "EAGLE_REDIS_CA",
    "rediss://h?ssl_check_hostname=false": "EAGLE_REDIS_CA",
    "rediss://h?ssl_ca_certs=/etc/ca.pem": "EAGLE_REDIS_CA",
    "unix://run/redis.sock": "third slash",
    "unix://": "no socket",
    "unix:///": "no socket",
    "unix:///run/redis.sock?socket_timeout=1": "socket_timeout",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_each_form_of_an_address_is_read(url: str) -> None:
    assert RedisAddress.parse(url) == ADDRESSES[url]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_is_written_for_a_program_is_read_back(url: str) -> None:
    address = RedisAddress.parse(url)
    assert RedisAddress.parse(address.url) == address
    assert RedisAddress.parse(address.celery_url) == address


@pytest.mark.parametrize("url", REFUSED)
def test_any_other_form_is_refused_in_one_line_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[url].replace("?", "[?]")) as raised:
        RedisAddress.parse(url)
    message = str(raised.value)
    assert "\n" not in message
    assert "fish" not in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/3", "redis://h:1/3"),
        ("redis://:p%40ss@h:1/3", "redis://:***@h:1/3"),
        ("rediss://user:word@[::1]/3", "rediss://user:***@[::1]:6379/3"),
        ("unix://:word@/run/redis.sock", "unix://:***@/run/redis.sock?db=0"),
    ],
)
def test_an_address_shows_no_password(url: str, shown: str) -> None:
    address = RedisAddress.parse(url)
    assert str(address) == shown
    assert "word" not in repr(address)


def test_over_tls_the_server_must_prove_who_it_is() -> None:
    assert (
        RedisAddress.parse("rediss://h").tls_options.items()
        >= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}.items()
    )
    assert RedisAddress.parse("rediss://h", ca="/ca.pem").tls_options["ssl_ca_certs"] == "/ca.pem"
    assert RedisAddress.parse("redis://h", ca="/ca.pem").tls_options == {}


def test_two_spellings_of_one_database_are_equal() -> None:
    address = RedisAddress.parse("redis://h/3")
    assert address.is_same_database(RedisAddress.parse("redis://user:word@h:6379?db=3"))
    assert not address.is_same_database(RedisAddress.parse("redis://h/4"))
    assert not address.is_same_database(RedisAddress.parse("unix:///run/redis.sock?db=3"))
