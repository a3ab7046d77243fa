"""Topic ARNs, and what follows from them: the region, and where and under which names its signing
certificate is found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eagle_logger.sns.partitions import Partition, partitions

_ARN = re.compile(
    r"arn:(aws[a-z0-9-]*):sns:([a-z0-9-]{1,40}):([0-9]{12}):([A-Za-z0-9_-]{1,256}(?:\.fifo)?)"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic, taken from its ARN."""

    arn: str
    partition: Partition
    region: str

    @classmethod
    def parse(cls, arn: str) -> Topic:
        """Raises ValueError unless it is a topic's ARN in a partition that botocore knows."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise ValueError(
                f"{arn!r} is not the ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:fetch"
            )
        partition = partitions().get(match[1])
        if partition is None or not partition.has(match[2]):
            raise ValueError(
                f"{arn!r} is not the ARN of an SNS topic in a region that botocore knows: correct it, or update botocore "
                f"(it knows the partitions {', '.join(sorted(partitions()))})"
            )
        return cls(arn, partition, match[2])

    @property
    def certificate_host(self) -> str:
        """The only host that serves the certificate of this topic's messages."""
        return f"sns.{self.region}.{self.partition.domain}"

    @property
    def certificate_names(self) -> frozenset[str]:
        """The names, one of which the signing certificate bears.

        Most regions share `sns.amazonaws.com`. Regions that one opts into have
        `sns-signing.<region>`. China and GovCloud have `sns-<region>`; both GovCloud regions use
        that of the western one, which is the partition's home. Amazon's own Java library expects
        the same names.
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
