"""EagleDataLogger's names of 2015: the aliases, and the pure methods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger import wiring
from eagle_logger.core.in_step import Turns
from eagle_logger.core.kinds import Kind
from eagle_logger.core.paths import cloud_id_of, parse_archive_key, parse_log_file
from eagle_logger.core.readings import Reading
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import User, UserState
from eagle_logger.fetching.visit import Visit
from eagle_logger.logger import EagleDataLogger
from eagle_logger.settings import Settings
from eagle_logger.users.memory.store import memory_store
from eagle_logger.users.store import Claim
from tests.support.scripted_relay import demand, holding

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
USER = {"cloud_id": "00CE69"}
moments = st.integers(946_684_800, 4_000_000_000)


def test_each_name_of_2015_is_an_alias() -> None:
    aliases = {
        "get_new_rainforest_data": "run_cycle",
        "fetch_user_info": "claim",
        "fetch_data": "visit",
        "update_user_info": "log_and_report",
        "push_next_request_to_queue": "rearm",
        "rotate_log_to_s3": "rotate_shard",
    }
    for alias, name in aliases.items():
        assert getattr(EagleDataLogger, alias) is getattr(EagleDataLogger, name)


def settings_of(tmp_path: Path, **settings: float) -> Settings:
    return Settings(data_dir=tmp_path, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("shards", [16, 64])
async def test_an_instance_names_the_files_that_are_really_written(
    tmp_path: Path, shards: int
) -> None:
    settings = settings_of(tmp_path, shards=shards)
    schedule = memory_store().schedule
    logger = await wiring.data_logger(settings, schedule, name="test", holder="test")
    named = set()
    for cloud_id in ("00ce69", "002738", "00abcd"):
        claim = Claim(cloud_id, 1, 0.0, 0.0, None, User(cloud_id), None, UserState())
        visit = Visit(claim, Turns(Grid(6.0, 0.0)))
        now = NOON.timestamp()
        visit.note_reply(Kind.DEMAND, holding(demand(int(now))), now, asked=now)
        await logger.log_and_report([visit])
        named.add(logger.get_log_filename({"cloud_id": cloud_id}, NOON))
    await logger.close()
    written = settings.logs_dir.rglob("*.jsonl")
    assert {str(file.relative_to(settings.logs_dir)) for file in written} == named


async def test_an_instance_waits_for_the_demand_interval_of_its_settings(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, demand_interval=30)
    schedule = memory_store().schedule
    logger = await wiring.data_logger(settings, schedule, name="test", holder="test")
    assert logger.get_wait_time(NOON, NOON + timedelta(seconds=2)) == 28
    await logger.close()


def test_the_class_assumes_the_defaults_of_the_settings() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert EagleDataLogger.shards == defaults["shards"]
    assert EagleDataLogger.demand_interval == defaults["demand_interval"]


def test_wait_time_is_what_is_left_of_the_demand_interval() -> None:
    assert EagleDataLogger.get_wait_time(NOON, NOON + timedelta(seconds=2)) == 4


@given(last=st.none() | moments, now=moments)
def test_wait_time_is_never_negative_and_never_longer_than_needed(
    last: int | None, now: int
) -> None:
    wait = EagleDataLogger.get_wait_time(last, now)
    assert wait >= 0
    if last is None or now >= last + 6:
        assert wait == 0


def test_wait_time_from_a_timestamp_to_a_datetime() -> None:
    with freeze_time(NOON):
        assert EagleDataLogger.get_wait_time(NOON.timestamp(), datetime.now(UTC)) == 6


@pytest.mark.parametrize(
    ("data", "greatest"),
    [
        ([], None),
        ([{}], None),
        ([{"TimeStamp": 3}, {"TimeStamp": 7}, {"TimeStamp": 5}], 7),
        ([{"TimeStamp": "0x1c91ec39"}, {"TimeStamp": "0x1C91EC40"}], "0x1C91EC40"),
        ([{"TimeStamp": "9"}, {"TimeStamp": "10"}], "10"),
        ([Reading("", "", Kind.DEMAND, time, {"value": Decimal(1)}, {}) for time in (2, 9, 4)], 9),
    ],
)
def test_the_last_timestamp_is_the_greatest_in_its_own_spelling(
    data: list[object], greatest: object
) -> None:
    assert EagleDataLogger.get_last_timestamp(data) == greatest  # type: ignore[arg-type]


def test_there_is_no_new_file_before_anything_was_logged() -> None:
    assert EagleDataLogger.is_new_log_filename(USER, None, NOON) is False


@given(moments, moments)
def test_there_is_a_new_file_exactly_when_the_hours_differ(last: int, now: int) -> None:
    assert EagleDataLogger.is_new_log_filename(USER, last, now) is (last // 3600 != now // 3600)


def test_files_and_keys_are_named_by_hour_in_utc() -> None:
    late = datetime(2026, 3, 10, 23, 30, tzinfo=UTC)
    assert (
        EagleDataLogger.get_log_filename(USER, late)
        == "2026-03-10-23/03/rainforest-00ce69-2026-03-10-23.jsonl"
    )
    assert (
        EagleDataLogger.get_s3_keyname(USER, late)
        == "cloud_id=00ce69/date=2026-03-10/00ce69-2026-03-10-23.jsonl.gz"
    )


@given(moments, st.from_regex(r"[0-9a-fA-F]{6}", fullmatch=True))
def test_file_names_and_keys_can_be_parsed(now: int, cloud_id: str) -> None:
    path = EagleDataLogger.get_log_filename(User(cloud_id), now)
    key = EagleDataLogger.get_s3_keyname(User(cloud_id), now)
    hour_folder, _, file = path.split("/")
    parsed = parse_log_file(file)
    assert parsed is not None
    assert (parsed[0], parsed[1].name, parsed[1].start) == (
        cloud_id.lower(),
        hour_folder,
        now // 3600 * 3600,
    )
    assert parse_archive_key(key) == (*parsed, 0)


@pytest.mark.parametrize("moment", [datetime(2026, 3, 10, 12)])  # noqa: DTZ001  (this is what is refused)
def test_a_moment_without_a_time_zone_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="time zone"):
        EagleDataLogger.get_log_filename(USER, moment)


@pytest.mark.parametrize(
    "cloud_id",
    [
        "",
        "12345",
        "1234567",
        "00ce6g",
        "../../",
        "00:ce-69",
        "00ce:69",
        "0xce69",
        "00::ce69",
        "d8:d5:b9:00:ce:69",
        "00 ce 69",
        "\uff10\uff10ce69",
    ],
)
def test_a_bad_cloud_id_is_refused(cloud_id: str) -> None:
    with pytest.raises(ValueError, match="cloud id"):
        EagleDataLogger.get_s3_keyname({"cloud_id": cloud_id}, NOON)


@pytest.mark.parametrize(
    "cloud_id", ["00CE69", "00:ce:69", "00-CE-69", "0x00ce69", "0X00:CE:69", "\t00ce69\n"]
)
def test_every_spelling_of_a_cloud_id_on_stickers_and_gateways_is_understood(cloud_id: str) -> None:
    assert cloud_id_of(cloud_id) == "00ce69"


def test_the_error_about_a_long_cloud_id_does_not_repeat_all_of_it() -> None:
    with pytest.raises(ValueError, match=r"x{59}…") as error:
        cloud_id_of("x" * 10_000)
    assert len(str(error.value)) < 200
