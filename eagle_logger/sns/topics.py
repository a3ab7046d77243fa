"""Topics by their ARNs, and what follows from an ARN: the region, and the host and names of the
signing certificate."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eagle_logger.sns.partitions import Partition, partitions

_ARN = re.compile(
    r"arn:(aws[a-z0-9-]*):sns:([a-z0-9-]{1,40}):([0-9]{12}):([A-Za-z0-9_-]{1,256}(?:\.fifo)?)"
)


@dataclass(frozen=True, slots=True)
class Topic:
    arn: str
    partition: Partition
    region: str

    @classmethod
    def parse(cls, arn: str) -> Topic:
        """Raises ValueError unless it is a topic's ARN in a partition that botocore knows."""
        match = _ARN.fullmatch(arn)
        if match is None:
            example = "arn:aws:sns:us-east-1:123456789012:fetch"
            raise ValueError(f"{arn!r} is not the ARN of an SNS topic, such as {example}")
        partition = partitions().get(match[1])
        if partition is None or not partition.has(match[2]):
            raise ValueError(
                f"{arn!r} is not the ARN of an SNS topic in a region that botocore knows: correct "
                "it, or update botocore "
                f"(it knows the partitions {', '.join(sorted(partitions()))})"
            )
        return cls(arn, partition, match[2])

    @property
    def certificate_host(self) -> str:
        """The only host that serves the certificate of this topic's messages."""
        return f"sns.{self.region}.{self.partition.domain}"

    @property
    def certificate_names(self) -> frozenset[str]:
        """The signing certificate must be issued to one of these names.

        Most regions share `sns.amazonaws.com`. Opt-in regions have `sns-signing.<region>`. China
        and GovCloud have `sns-<region>`; both GovCloud regions use that of the western one, which
        is the partition's home. Amazon's own Java library expects the same names.
        """
        region, domain, home = self.region, self.partition.domain, self.partition.home
        first_labels = (
            "sns",
            f"sns.{region}",
            f"sns-signing.{region}",
            f"sns-{region}",
            f"sns-{home}",
        )
        return frozenset(f"{labels}.{domain}" for labels in first_labels)
