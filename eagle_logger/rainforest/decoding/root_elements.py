"""The notifications that the vendor's manuals and captured replies name, by their root elements."""

from __future__ import annotations

from eagle_logger.core.kinds import KINDS

READINGS = {root: spec.kind for spec in KINDS.values() for root in spec.root_elements}

WITHOUT_READING = (
    "NetworkInfo",
    "NetworkStatus",
    "ScheduleInfo",
    "DemandPeaks",
    "CommandResponse",
    "DeviceInfo",
    "MeterInfo",
    "ConnectionStatus",
    "TimeCluster",
    "FastPollStatus",
    "ProfileData",
    "ScheduledPrices",
    "BlockPriceDetail",
    "BillingPeriod",
)
"""These are recognised, but carry nothing to log."""

CONTAINERS = (
    "HistoryData",
    "NetworkList",
    "ScheduleList",
    "DeviceList",
    "BillingPeriodList",
    "rainforest",
)
"""These hold notifications. A whole notification inside counts even if the container is cut off."""

CANONICAL_NAMES = {name.lower(): name for name in (*READINGS, *WITHOUT_READING, *CONTAINERS)}
"""By lower-case name: the manual declares the case of tags insignificant."""

PATTERN = "|".join(sorted(CANONICAL_NAMES, key=len, reverse=True))
"""All of them, for a regular expression that ignores case."""
