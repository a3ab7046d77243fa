from __future__ import annotations

import pytest

from eagle_logger.simulator.relay.homes import MOST_HOMES, homes
from eagle_logger.simulator.relay.household import SOLAR_PROFILES


def test_a_home_is_the_same_however_many_homes_there_are() -> None:
    assert homes(5, seed=1) == homes(500, seed=1)[:5]


def test_another_seed_gives_other_homes() -> None:
    assert not {home.cloud_id for home in homes(100, seed=1)} & {
        home.cloud_id for home in homes(100, seed=2)
    }
    assert homes(1, seed=1)[0].user_pw != homes(1, seed=2)[0].user_pw


def test_no_two_homes_share_an_identity() -> None:
    population = homes(20_000, seed=9)
    for name in ("cloud_id", "device", "meter", "user_email"):
        assert len({getattr(home, name) for home in population}) == len(population), name


def test_identities_are_spelled_as_rainforest_spells_them() -> None:
    for home in homes(2000, seed=4):
        assert len(home.cloud_id) == 6
        assert home.cloud_id == home.cloud_id.lower()
        assert home.device.startswith("0xd8d5b9")
        assert home.meter.startswith(("0x00078100", "0x00135001"))
        assert len(home.device) == len(home.meter) == 18
        assert int(home.device, 16)
        assert int(home.meter, 16)


def test_some_cloud_ids_begin_with_zeroes() -> None:
    assert any(home.cloud_id.startswith("00") for home in homes(2000, seed=4))


def test_credentials_are_obviously_made_up_and_not_in_the_repr() -> None:
    home = homes(1, seed=4)[0]
    assert home.user_email.endswith(".example")
    assert "not-a-real-password" in home.user_pw
    assert home.user_pw not in repr(home)
    assert home.user_email not in repr(home)


def test_a_fleet_has_homes_of_every_sort() -> None:
    population = homes(500, seed=4)
    assert 0.1 < sum(home.profile in SOLAR_PROFILES for home in population) / 500 < 0.5
    assert {home.multiplier for home in population} == {0, 1, 3}
    assert {home.tariff.letters for home in population} == {"USD", "CAD", "EUR"}
    assert len({home.spelling for home in population}) == 3


@pytest.mark.parametrize("number", [-1, MOST_HOMES + 1])
def test_a_number_of_homes_without_as_many_cloud_ids_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="homes"):
        homes(number, seed=0)
