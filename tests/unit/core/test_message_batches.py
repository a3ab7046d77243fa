from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.message_batches import messages_by_shard
from eagle_logger.core.paths import shard_of

cloud_ids = st.lists(st.from_regex(r"[0-9a-f]{6}", fullmatch=True), unique=True, max_size=300)


@given(cloud_ids, st.integers(1, 32), st.integers(1, 100))
def test_every_user_goes_into_exactly_one_message_of_its_shard(
    users: list[str], shards: int, at_most: int
) -> None:
    sent = list(messages_by_shard(users, shards=shards, at_most=at_most))
    assert Counter(user for _, batch in sent for user in batch) == Counter(users)
    assert all(0 < len(batch) <= at_most for _, batch in sent)
    assert all(shard_of(user, shards) == shard for shard, batch in sent for user in batch)


@given(cloud_ids, st.integers(1, 32))
def test_there_are_no_more_messages_than_needed(users: list[str], shards: int) -> None:
    sizes = Counter(shard_of(user, shards) for user in users)
    assert len(list(messages_by_shard(users, shards=shards, at_most=100))) == sum(
        -(-size // 100) for size in sizes.values()
    )


@given(cloud_ids, st.integers(1, 32), st.integers(1, 100))
def test_the_messages_of_a_shard_are_equally_full(
    users: list[str], shards: int, at_most: int
) -> None:
    sizes: dict[int, list[int]] = {}
    for shard, batch in messages_by_shard(users, shards=shards, at_most=at_most):
        sizes.setdefault(shard, []).append(len(batch))
    assert all(max(of_a_shard) - min(of_a_shard) <= 1 for of_a_shard in sizes.values())
