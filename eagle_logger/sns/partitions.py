"""Amazon's partitions (the public cloud, China, GovCloud, the European Sovereign Cloud …): which there are, and their domains.

botocore ships this as data, and an update of botocore brings the partitions that are new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Partition:
    """`home` is the region that stands for the whole partition, such as us-east-1."""

    name: str
    domain: str
    home: str
    regions: re.Pattern[str]

    def has(self, region: str) -> bool:
        """Whether the partition may have such a region: new ones appear, so their names go by a pattern."""
        return self.regions.match(region) is not None


@cache
def partitions() -> Mapping[str, Partition]:
    """By name, such as aws-eusc."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (only where Amazon's services are used at all)

    found = create_loader().load_data("partitions")["partitions"]
    return {one["id"]: _partition(one["id"], one["outputs"], one["regionRegex"]) for one in found}


def _partition(name: str, outputs: Mapping[str, str], regions: str) -> Partition:
    return Partition(name, outputs["dnsSuffix"], outputs["implicitGlobalRegion"], re.compile(regions, re.ASCII))


def region_of_queue(host: str) -> str | None:
    """The region in the host of an SQS queue's URL; None if it is not Amazon's host."""
    for partition in partitions().values():
        match = re.fullmatch(rf"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.{re.escape(partition.domain)}", host)
        if match and partition.has(region := match[1] or match[2]):
            return region
    return None
