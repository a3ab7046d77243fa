"""Amazon's partitions (the public cloud, China, GovCloud, the European Sovereign Cloud …) and their
domains.

botocore ships them as data, so an update of botocore brings new partitions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Partition:
    """`home` is the region that stands for the whole partition, such as us-east-1."""

    name: str
    domain: str
    home: str
    regions: re.Pattern[str]

    def has(self, region: str) -> bool:
        """Whether the region's name fits the partition's pattern. No list is consulted, because
        Amazon opens new regions."""
        return self.regions.match(region) is not None


@cache
def partitions() -> Mapping[str, Partition]:
    """All partitions that botocore knows, by name, such as aws-eusc."""
    # Only those who use Amazon's services wait for this import.
    from botocore.loaders import create_loader  # noqa: PLC0415

    descriptions = create_loader().load_data("partitions")["partitions"]
    return {description["id"]: _partition(description) for description in descriptions}


def _partition(description: Mapping[str, Any]) -> Partition:
    outputs = description["outputs"]
    regions = re.compile(description["regionRegex"], re.ASCII)
    return Partition(
        description["id"], outputs["dnsSuffix"], outputs["implicitGlobalRegion"], regions
    )


def region_of_queue(host: str) -> str | None:
    """The region that the host of an SQS queue's URL names; None if it is not a host of Amazon's.

    Amazon has used two forms: `sqs.<region>.<domain>` and `<region>.queue.<domain>`.
    """
    for partition in partitions().values():
        domain = re.escape(partition.domain)
        match = re.fullmatch(rf"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.{domain}", host)
        if match and partition.has(region := match[1] or match[2]):
            return region
    return None
