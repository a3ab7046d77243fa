"""What every store does with users, and with the facts of the fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.user_standing import OVERDUE_AFTER_S
from eagle_logger.core.users import UserState
from eagle_logger.errors import KeyNotKnown
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.known_keys import ALIVE_WITHIN_S
from eagle_logger.users.store import Report, StoredUser, UserStore
from tests.contract.users.scheduling import GRID, add, claimed, reported
from tests.support.hand_clock import HandClock
from tests.support.users import lived_in_state, new_user


async def all_users(store: UserStore, batch: int = 500) -> list[StoredUser]:
    return [stored async for page in store.users.all(batch=batch) for stored in page]


async def test_the_store_has_the_time_of_its_clock(store: UserStore, clock: HandClock) -> None:
    assert await store.fleet.now() == clock.now()


async def test_a_stored_user_shows_all_but_its_password(store: UserStore) -> None:
    new = new_user("00ce69", "a-password", intervals={Kind.DEMAND: 10.0, Kind.PRICE: 60.5})
    new = replace(new, user=replace(new.user, mac_id="0xd8d5b9000000abcd"))
    await store.users.put([new])
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.user == new.user
    assert "a-password" not in repr(stored)
    assert await store.users.get("ffffff") is None


async def test_users_are_listed_in_order_and_in_pages(store: UserStore) -> None:
    ids = ["000000", "00ce69", "00ce6a", "00d001", "a00000", "fffffe", "ffffff"]
    for cloud_id in reversed(ids):
        await add(store, cloud_id)
    pages = [[stored.user.cloud_id for stored in page] async for page in store.users.all(batch=3)]
    assert pages == [ids[:3], ids[3:6], ids[6:]]
    assert [
        stored.user.cloud_id async for page in store.users.all(after="00ce69") for stored in page
    ] == ids[2:]
    assert [page async for page in store.users.all(after="ffffff")] == []


async def test_an_outline_agrees_with_the_stored_user(store: UserStore) -> None:
    for cloud_id in ("a00000", "00ce69", "00ce6a", "ffffff"):
        await add(store, cloud_id)
    state = lived_in_state()._replace(failures=3, last_error="timed_out", parked="refused")
    await store.schedule.report([reported((await claimed(store, "00ce6a"))[0], state)], {})
    await claimed(store, "ffffff")
    found = [outline async for batch in store.users.outlines() for outline in batch]
    assert [outline.cloud_id for outline in found] == ["00ce69", "00ce6a", "a00000", "ffffff"]
    for outline, whole in zip(found, await all_users(store), strict=True):
        assert (outline.due, outline.lease_ends) == (whole.due, whole.lease_ends)
        assert all(
            getattr(outline, name) == getattr(whole.state, name)
            for name in (
                "total_events_logged",
                "last_timestamp",
                "last_arrival",
                "recent_counts",
                "failures",
                "last_error",
                "parked",
            )
        )
        assert (outline.intervals, outline.unreadable) == (whole.user.intervals, None)
    assert [outline.visited for outline in found] == [False, True, False, False]
    await store.users.put([new_user("00ce69", intervals={Kind.DEMAND: 3600.0})])
    found = [outline async for batch in store.users.outlines() for outline in batch]
    assert [outline.intervals for outline in found] == [{Kind.DEMAND: 3600.0}, {}, {}, {}]


async def test_remove_returns_whether_there_was_a_user(store: UserStore) -> None:
    await add(store, "00ce69")
    assert await store.users.remove("00ce69")
    assert not await store.users.remove("00ce69")
    assert await all_users(store) == []


async def test_adding_a_user_again_keeps_its_state_and_replaces_the_rest(store: UserStore) -> None:
    await store.users.put([new_user("00ce69", intervals={Kind.DEMAND: 10.0})])
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim, lived_in_state())], {})
    await store.users.put([new_user("00ce69", "another-password")])
    [claim] = await claimed(store, "00ce69")
    assert claim.user.intervals == {}
    assert claim.credentials
    assert claim.credentials.user_pw == "another-password"
    assert claim.state == lived_in_state()


async def test_exported_users_can_be_restored(store: UserStore) -> None:
    await add(store, "000001", "000002")
    claims = await claimed(store, "000001", "000002")
    state = lived_in_state()
    refused = state._replace(failures=3, last_error="refused", parked="refused")
    await store.schedule.report([reported(claims[0], state), reported(claims[1], refused)], {})
    exported = await all_users(store)
    for stored in exported:
        await store.users.remove(stored.user.cloud_id)
    await store.users.restore(exported)
    restored = await all_users(store)
    assert [stored.sealed for stored in restored] == [stored.sealed for stored in exported]
    assert [stored.state for stored in restored] == [state, state]
    assert all(stored.due is not None for stored in restored)


async def test_restoring_does_not_replace_a_state(store: UserStore) -> None:
    await add(store, "00ce69")
    exported = await all_users(store)
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim, lived_in_state())], {})
    await store.users.restore([replace(exported[0], state=UserState(total_events_logged=1))])
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.state == lived_in_state()


async def test_a_password_sealed_for_another_user_is_not_restored(store: UserStore) -> None:
    await add(store, "000001", "000002")
    mine, other = await all_users(store)
    foreign = Cipher([new_key()]).seal(new_user("000001").credentials)
    for bad in (other.sealed, foreign, "nonsense", ""):
        with pytest.raises(ValueError, match="sealed password"):
            await store.users.restore(
                [
                    replace(other, user=replace(other.user, mac_id="0xd8d5b90000000001")),
                    replace(mine, sealed=bad),
                ]
            )
    assert [stored.user.mac_id for stored in await all_users(store)] == [None, None]


async def test_resealing_leaves_passwords_under_the_newest_key_alone(store: UserStore) -> None:
    await add(store, "00ce69")
    before = await all_users(store)
    assert await store.users.reseal() == 0
    assert await all_users(store) == before


async def test_nothing_is_sealed_with_a_key_that_a_living_process_does_not_know(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    before = await all_users(store)
    await store.fleet.note_progress("fetch-1", {"keys": "0123456789abcdef"})
    with pytest.raises(KeyNotKnown, match=r"fetch-1: the first key .* not known there"):
        await store.users.reseal()
    with pytest.raises(KeyNotKnown, match="fetch-1"):
        await add(store, "00ce70")
    assert await all_users(store) == before
    clock.advance(ALIVE_WITHIN_S + 1)
    assert await store.users.reseal() == 0


async def test_a_password_that_a_living_process_cannot_decrypt_is_not_restored(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    exported = await all_users(store)
    await store.users.remove("00ce69")
    await store.fleet.note_progress("fetch-1", {"keys": "0123456789abcdef"})
    with pytest.raises(KeyNotKnown, match=r"fetch-1: a key .* not known there"):
        await store.users.restore(exported)
    assert await all_users(store) == []
    await store.fleet.note_progress("fetch-1", {})
    await store.users.restore(exported)
    assert len(await all_users(store)) == 1


async def test_a_progress_note_has_the_fingerprints_of_the_process_keys(
    store: UserStore, cipher: Cipher
) -> None:
    await store.fleet.note_progress("fetch-1", {})
    assert (await store.fleet.progress())["fetch-1"]["keys"] == cipher.fingerprints[0]
    await store.fleet.note_progress("beat-of-before", {"keys": ""})
    assert await store.users.reseal() == 0


async def test_totals_count_users_by_what_becomes_of_them(
    store: UserStore, clock: HandClock
) -> None:
    assert (await store.fleet.totals()).oldest_due is None
    await add(store, "000001", "000002", "000003")
    claims = await claimed(store, "000002", "000003")
    await store.schedule.report([reported(claims[0], UserState(parked="refused"))], {})
    clock.advance(0.5)
    totals = await store.fleet.totals()
    assert (totals.users, totals.due, totals.leased, totals.parked) == (3, 1, 1, 1)
    assert totals.overdue == 0
    assert totals.oldest_due == clock.now() - 0.5
    clock.advance(OVERDUE_AFTER_S)
    assert (await store.fleet.totals()).overdue == 1, "it is late by more than a tick explains"


async def test_counters_add_up(store: UserStore) -> None:
    await store.fleet.count({"sns_messages": 2})
    await store.schedule.report([], {"sns_messages": 1, "fetches": 5})
    assert await store.fleet.tally() == {"sns_messages": 3, "fetches": 5}


async def test_the_counters_of_a_lost_report_are_added(store: UserStore) -> None:
    await store.schedule.report([Report("ffffff", 1, UserState(), GRID)], {"fetches": 1})
    assert (await store.fleet.tally())["fetches"] == 1


async def test_progress_is_kept_an_hour(store: UserStore, clock: HandClock, cipher: Cipher) -> None:
    [key] = cipher.fingerprints
    await store.fleet.note_progress("fetch-1", {"by": "worker", "in_flight": 3, "late": 0.25})
    noted, agrees = clock.now(), pytest.approx(0.0, abs=0.1)
    clock.advance(3599)
    await store.fleet.note_progress("beat", {})
    assert await store.fleet.progress() == {
        "fetch-1": {
            "keys": key,
            "by": "worker",
            "in_flight": 3,
            "late": 0.25,
            "at": noted,
            "clock_ahead": agrees,
        },
        "beat": {"keys": key, "at": noted + 3599, "clock_ahead": agrees},
    }
    clock.advance(2)
    assert list(await store.fleet.progress()) == ["beat"]


async def test_the_first_start_decides_the_number_of_shards(store: UserStore) -> None:
    assert await store.fleet.shards() is None
    assert await store.fleet.agree_on_shards(16) == 16
    assert await store.fleet.agree_on_shards(8) == 16
    await store.fleet.set_shards(8)
    assert await store.fleet.shards() == 8


async def test_nodes_are_known_for_a_day(store: UserStore, clock: HandClock) -> None:
    await store.fleet.register_node("b")
    clock.advance(80_000)
    await store.fleet.register_node("a")
    assert await store.fleet.nodes() == ["a", "b"]
    clock.advance(6401)
    assert await store.fleet.nodes() == ["a"]
