"""Amazon's partitions (the public cloud, China, GovCloud, the European Sovereign Cloud …) and their
domains.

botocore ships them as data, so an update of botocore brings new partitions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `home` is the region that stands for all of it, such as us-east-1."""

    name: str
    domain: str
    home: str
    regions: re.Pattern[str]

    def has(self, region: str) -> bool:
        """Whether the region's name fits the partition's pattern. There is no list, because new
        regions appear."""
        return self.regions.match(region) is not None


@cache
def partitions() -> Mapping[str, Partition]:
    """All partitions that botocore knows, by name, such as aws-eusc."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (only where Amazon's services are used at all)

    found = create_loader().load_data("partitions")["partitions"]
    return {one["id"]: _partition(one["id"], one["outputs"], one["regionRegex"]) for one in found}


def _partition(name: str, outputs: Mapping[str, str], regions: str) -> Partition:
    return Partition(
        name, outputs["dnsSuffix"], outputs["implicitGlobalRegion"], re.compile(regions, re.ASCII)
    )


def region_of_queue(host: str) -> str | None:
    """The region in the host of an SQS queue's URL; None if it is not Amazon's host."""
    for partition in partitions().values():
        match = re.fullmatch(
            rf"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.{re.escape(partition.domain)}", host
        )
        if match and partition.has(region := match[1] or match[2]):
            return region
    return None
