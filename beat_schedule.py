"""When things happen: Celery beat's entries, and nothing else. `workers/tasks.py` says what each
task does.

A tick that is missed does no harm: users that fell due stay due, and hours that are complete stay
complete. So the queue keeps only the newest few messages (`workers/process/celery_transport.py`).
No message expires, because the clocks of two machines differ.
"""

from __future__ import annotations

from typing import Any

beat_schedule: dict[str, dict[str, Any]] = {
    # Leases the users that have fallen due, and sends them to the fetch queues.
    "dispatch": {"task": "dispatch", "schedule": 1.0, "options": {"queue": "dispatch"}},
    # Asks every node to archive the hours that are complete on its disk.
    "rotate": {"task": "rotate", "schedule": 300.0, "options": {"queue": "dispatch"}},
    # Rolls up the days that are complete, and what came late of others, into day tables.
    "roll_up": {"task": "roll_up", "schedule": 1800.0, "options": {"queue": "tables"}},
}
