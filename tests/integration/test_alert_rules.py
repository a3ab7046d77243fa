from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from workers.server.metrics import HELP, catalogue

MONITORING = Path(__file__).parents[2] / "docker" / "monitoring"
ALERT = re.compile(r"alert: (\w+)")
METRIC = re.compile(r"\beagle_\w+")


def test_the_alert_rules_fire_when_they_should() -> None:
    promtool = shutil.which("promtool") or pytest.skip("no promtool: it comes with Prometheus")
    told = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yml"], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_alert_is_explained_and_tried() -> None:
    alerts = set(ALERT.findall((MONITORING / "alerts.yml").read_text()))
    page = (MONITORING.parents[1] / "docs" / "how-to" / "read-an-alert.md").read_text()
    assert alerts == set(re.findall(r"\*\*(Eagle\w+)\*\*", page))
    assert alerts == set(re.findall(r"alertname=\"(\w+)\"", (MONITORING / "alerts.test.yml").read_text()))


def test_every_metric_asked_for_exists() -> None:
    dashboard = json.loads((MONITORING / "grafana" / "dashboards" / "eagle-logger.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    known = {metric.name for metric in catalogue()} | {f"eagle_{name}_total" for name in HELP}
    known |= {"eagle_fetch_lateness_seconds_bucket"}
    asked = set(METRIC.findall((MONITORING / "alerts.yml").read_text())) | set(METRIC.findall(" ".join(expressions)))
    assert asked <= known
