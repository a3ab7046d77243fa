"""The notifications there are: what a reply's root elements are called, in their one spelling."""

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
"""Recognised, but they carry nothing to log."""

CONTAINERS = (
    "HistoryData",
    "NetworkList",
    "ScheduleList",
    "DeviceList",
    "BillingPeriodList",
    "rainforest",
)
"""They hold notifications; what is whole inside counts, whether or not the container itself is."""

SPELLING = {name.lower(): name for name in (*READINGS, *WITHOUT_READING, *CONTAINERS)}
"""From the lower-case name to the canonical one: the case of tags is insignificant."""

PATTERN = "|".join(sorted(SPELLING, key=len, reverse=True))
"""All of them, for a case-insensitive regular expression."""
