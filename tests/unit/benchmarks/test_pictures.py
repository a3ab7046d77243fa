"""Pictures drawn from figures as the benchmarks keep them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.pictures import flame, lateness

STACKS = [
    "thread (12): event-loop;run (a.py:1);ask (eagle_logger/rainforest/relay/client.py:76) 60",
    "thread (12): event-loop;run (a.py:9);ask (eagle_logger/rainforest/relay/client.py:80) 30",
    "thread (13): pool_1;rare<x> (b.py:3) 10",
]


def titles(picture: str) -> list[str]:
    elements = ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}title")
    return [element.text or "" for element in elements]


def test_a_function_is_one_frame_whatever_line_it_was_at() -> None:
    assert titles(flame(STACKS)) == [
        "all samples 100.0%",
        "thread event-loop 90.0%",
        "run (a.py) 90.0%",
        "ask (eagle_logger/rainforest/relay/client.py) 90.0%",
        "thread pool 10.0%",
        "rare<x> (b.py) 10.0%",
    ]


def test_rare_functions_are_left_out() -> None:
    assert "rare" not in flame([*STACKS, "thread (12): event-loop;run (a.py:1) 100000"])


def glance(second: float, missed: int, **late: int) -> dict[str, object]:
    return {"second": second, "missed_turns": missed, "late": late}


def test_lateness_is_drawn_between_each_two_glances() -> None:
    run = {
        "name": "ours",
        "over_time": [
            glance(0, 5, late_500=10),
            glance(1, 5, late_500=20),
            glance(2, 8, late_500=20, late_10000=4),
        ],
    }
    picture = lateness({"contenders": [run, {"name": "bare"}]})
    root = ET.fromstring(picture)
    assert "ours: lateness over time; 3 missed turns" in picture
    assert "bare" not in picture
    polylines = root.iter("{http://www.w3.org/2000/svg}polyline")
    lines = [polyline.attrib["points"].split() for polyline in polylines]
    assert [len(points) for points in lines] == [2, 2]
    heights = [float(point.partition(",")[2]) for point in lines[0]]
    assert heights[0] > heights[1], "later is higher up"
