"""Topic ARNs, and what follows from them: the region, and where and under which names its signing certificate is found."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-[0-9]):([0-9]{12}):([A-Za-z0-9_-]{1,256}(?:\.fifo)?)")


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic, taken from its ARN."""

    arn: str
    partition: str
    region: str

    @classmethod
    def parse(cls, arn: str) -> Topic:
        """Raises ValueError unless it is a topic's ARN in a partition whose certificates we know how to find."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise ValueError(f"{arn!r} is not the ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:fetch")
        return cls(arn, match[1], match[2])

    @property
    def _domain(self) -> str:
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def certificate_host(self) -> str:
        """The only host that serves the certificate of this topic's messages."""
        return f"sns.{self.region}.{self._domain}"

    @property
    def certificate_names(self) -> frozenset[str]:
        """The names, one of which the signing certificate bears.

        Most regions share `sns.amazonaws.com`; regions one opts into have `sns-signing.<region>`, China and GovCloud
        `sns-<region>` (both GovCloud regions that of the western one). Amazon's own Java library expects the same.
        """
        names = {f"sns.{self._domain}", self.certificate_host, f"sns-signing.{self.region}.{self._domain}"}
        names.add(f"sns-{'us-gov-west-1' if self.partition == 'aws-us-gov' else self.region}.{self._domain}")
        return frozenset(names)
