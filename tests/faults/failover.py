"""Fault 3, a failover: another Redis becomes the primary, and every connection to the old one stays
open."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import redis

from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial


def fail_over(trial: Trial) -> None:
    """Make the replica the primary and the primary its replica, and let the proxy lead to the new
    primary. What the old primary accepted in between is lost, as in any failover."""
    primary, replica = trial.primary, trial.replica
    trial.until(lambda: _follows(replica.url))
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("NO", "ONE")
    with redis.Redis.from_url(primary.url) as client:
        client.config_set("masterauth", trial.redis_password)
        client.replicaof("127.0.0.1", replica.port)
    trial.way_to_redis.lead_to(replica.port)
    trial.primary, trial.replica = replica, primary


def _follows(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return str(client.info("replication").get("master_link_status")) == "up"


def there_and_back(chance: Random) -> Sequence[Strike]:
    """Fail over an even number of times, because the oracle reads the first Redis."""
    return [
        Strike("failover", fail_over, calm=chance.uniform(1, 4), flow=archiving) for _ in range(4)
    ]


SCENARIOS = [
    Scenario(
        "redis-failover",
        3,
        "failover: a replica becomes the primary, all connections to the old one stay open",
        there_and_back,
        Setup(standby=True),
    )
]
