from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.poison_users import (
    ALONE_AFTER,
    CONVICTED_AFTER,
    FEW,
    SUSPECTED_AFTER,
    TOGETHER,
    SuspectedUser,
    can_convict,
    deaths_if_it_dies,
    is_convicted,
    is_suspect,
    tried_next,
)


def suspects(*deaths: int) -> list[SuspectedUser]:
    return [
        SuspectedUser(count, float(number), f"{number:06x}") for number, count in enumerate(deaths)
    ]


def test_one_death_makes_nobody_a_suspect() -> None:
    assert not is_suspect(deaths_if_it_dies(0, tried=False, convicting=True))
    assert is_suspect(deaths_if_it_dies(1, tried=False, convicting=True))


def test_deaths_outside_a_trial_never_convict() -> None:
    deaths = 0
    for _ in range(100):
        deaths = deaths_if_it_dies(deaths, tried=False, convicting=True)
    assert deaths == SUSPECTED_AFTER


def test_deaths_in_trials_convict_only_while_there_are_few_suspects() -> None:
    deaths = SUSPECTED_AFTER
    for _ in range(100):
        deaths = deaths_if_it_dies(deaths, tried=True, convicting=False)
    assert not is_convicted(deaths)
    assert is_convicted(deaths_if_it_dies(deaths, tried=True, convicting=True))


def test_few_are_tried_alone_and_many_in_groups_of_those_with_the_fewest_deaths() -> None:
    assert [one.cloud_id for one in tried_next(suspects(3, 2, 2))] == ["000001"]
    assert len(tried_next(suspects(*[2] * 100))) == TOGETHER
    assert {one.deaths for one in tried_next(suspects(*[3] * 20, *[2] * 4))} == {2}
    assert len(tried_next(suspects(*[3] * 100))) == 1
    assert len(tried_next(suspects(*[2] * 1000))) == 125
    assert tried_next([]) == []


@given(st.lists(st.integers(SUSPECTED_AFTER, CONVICTED_AFTER), max_size=60), st.data())
def test_the_guilty_one_is_convicted_and_nobody_else(
    others: list[int], data: st.DataObject
) -> None:
    """Whoever is tried with the guilty one dies with it; all others are cleared."""
    waiting = suspects(SUSPECTED_AFTER, *[min(one, ALONE_AFTER) for one in others])
    guilty, convicted, deaths = waiting[0].cloud_id, set[str](), 0
    for _ in range(200):
        if not waiting:
            break
        chosen = tried_next(waiting)
        convicting = can_convict(waiting)
        waiting = [one for one in waiting if one not in chosen]
        convicted |= {one.cloud_id for one in chosen if is_convicted(one.deaths)}
        chosen = [one for one in chosen if not is_convicted(one.deaths)]
        if any(one.cloud_id == guilty for one in chosen):
            deaths += 1
            waiting += [
                one._replace(
                    deaths=deaths_if_it_dies(one.deaths, tried=True, convicting=convicting)
                )
                for one in chosen
            ]
            waiting = data.draw(st.permutations(waiting))
    assert convicted == {guilty}
    assert deaths <= CONVICTED_AFTER + FEW
