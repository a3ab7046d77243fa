"""How leased users are put into messages: each holds users of one shard, and not too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eagle_logger.core.paths import shard_of


def messages_by_shard(
    cloud_ids: Iterable[str], *, shards: int, at_most: int
) -> Iterator[tuple[int, list[str]]]:
    """The shard and the users of each message. The messages are as few as possible, those of one
    shard are about equally full, and a shard's users keep their order."""
    by_shard: dict[int, list[str]] = {}
    for cloud_id in cloud_ids:
        by_shard.setdefault(shard_of(cloud_id, shards), []).append(cloud_id)
    for shard, users in by_shard.items():
        count = -(-len(users) // at_most)  # rounded up
        for number in range(count):
            yield shard, users[number * len(users) // count : (number + 1) * len(users) // count]
