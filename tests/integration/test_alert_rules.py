"""Alert rules and dashboard use only metrics that exist, and each rule fires when it should."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.programs import run_to_end
from workers.server.metrics import COUNTER_HELP, catalogue

MONITORING = Path(__file__).parents[2] / "docker" / "monitoring"
ALERT = re.compile(r"alert: (\w+)")
METRIC = re.compile(r"\beagle_\w+")
MATCHERS = re.compile(r"\b(eagle_\w+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def promtool(*words: str) -> None:
    tool = shutil.which("promtool") or pytest.skip("no promtool: it comes with Prometheus")
    checked = run_to_end([tool, *words], cwd=MONITORING)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def on_the_dashboard() -> list[str]:
    dashboard = json.loads(
        (MONITORING / "grafana" / "dashboards" / "eagle-logger.json").read_text()
    )
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_alert_rules_fire_when_they_should() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_prometheus_can_evaluate_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query}
        for number, query in enumerate(on_the_dashboard())
    ]
    assert len(rules) > 10
    file = tmp_path / "dashboard.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_every_alert_is_explained_and_tried() -> None:
    alerts = set(ALERT.findall((MONITORING / "alerts.yml").read_text()))
    page = (MONITORING.parents[1] / "docs" / "how-to" / "read-an-alert.md").read_text()
    assert alerts == set(re.findall(r"\*\*(Eagle\w+)\*\*", page))
    assert alerts == set(
        re.findall(r"alertname=\"(\w+)\"", (MONITORING / "alerts.test.yml").read_text())
    )


def test_every_metric_asked_for_exists() -> None:
    known = {metric.name for metric in catalogue()} | {
        f"eagle_{name}_total" for name in COUNTER_HELP
    }
    known |= {"eagle_fetch_lateness_seconds_bucket"}
    asked = " ".join([(MONITORING / "alerts.yml").read_text(), *on_the_dashboard()])
    assert set(METRIC.findall(asked)) <= known
    labels = {metric.name: set(metric.labels) for metric in catalogue()}
    picked = [(name, set(LABEL.findall(inside))) for name, inside in MATCHERS.findall(asked)]
    assert picked
    assert [(name, found) for name, found in picked if not found <= labels[name]] == []
