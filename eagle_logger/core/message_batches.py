"""How leased users are put into messages: one shard's in each, and not too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eagle_logger.core.paths import shard_of


def messages(
    cloud_ids: Iterable[str], *, shards: int, at_most: int
) -> Iterator[tuple[int, list[str]]]:
    """Each message's shard and users: no more messages than needed, as full as each other; the
    order within a shard is kept."""
    by_shard: dict[int, list[str]] = {}
    for cloud_id in cloud_ids:
        by_shard.setdefault(shard_of(cloud_id, shards), []).append(cloud_id)
    for shard, users in by_shard.items():
        count = -(-len(users) // at_most)
        for number in range(count):
            yield shard, users[number * len(users) // count : (number + 1) * len(users) // count]
