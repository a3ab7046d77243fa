"""Users to test with. The passwords are made up."""

from __future__ import annotations

from collections.abc import Mapping

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream
from eagle_logger.core.users import Credentials, User, UserState
from eagle_logger.users.store import NewUser


def new_user(
    cloud_id: str, password: str = "a-password", *, intervals: Mapping[Kind, float] | None = None
) -> NewUser:
    user = User(cloud_id, intervals or {})
    return NewUser(user, Credentials(cloud_id, f"{cloud_id}@example.org", password))


def lived_in_state(now: float = 1_767_225_600.25) -> UserState:
    """A state as it is after some weeks, with the most recent readings that a state can hold."""
    device, meter, second = "0xd8d5b9000000abcd", "0x0013500100000001", int(now)

    def stream(
        kind: Kind, count: int, every: int, values: str
    ) -> tuple[Stream, tuple[tuple[int, str], ...]]:
        recent = tuple(
            (second - every * number, values.replace("%", str(731 + 97 * number)))
            for number in range(count)
        )
        return Stream(device, meter, kind), recent

    return UserState(
        total_events_logged=1_234_567,
        first_timestamp=second - 9_000_000,
        last_timestamp=second,
        last_arrival=now,
        asked={kind: now - 3.14159 * number for number, kind in enumerate(Kind)},
        recent=dict(
            [
                stream(Kind.DEMAND, 8, 6, '"value":1.%,"unit":"kW"'),
                stream(Kind.SUMMATION, 3, 240, '"delivered":31234.%,"received":0.%,"unit":"kWh"'),
                stream(
                    Kind.PRICE,
                    2,
                    300,
                    '"price":0.%,"currency":"USD","unit":"USD/kWh","tier":2,"label":"Block 1"',
                ),
                stream(
                    Kind.MESSAGE,
                    2,
                    900,
                    '"id":"0x00000%","text":"A planned outage tonight","priority":"low"',
                ),
            ]
        ),
        recent_counts=(second // 600, 98, 100, 101, 99, 100, 100),
        strange_hours=(second // 86400, second - 7200),
    )
