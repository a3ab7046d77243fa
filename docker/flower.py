"""Flower's own configuration (`celery flower --conf`)."""  # noqa: INP001  (a configuration of the image)

from pathlib import Path

# Flower can shut workers down, so it always has a password, which `init` wrote to this volume.
basic_auth = ["eagle:" + Path("/secrets/flower_password").read_text().strip()]
address = "0.0.0.0"  # noqa: S104  (inside its container; the compose file publishes it on loopback)
port = 5555
persistent = True
db = "/flower/flower.db"
state_save_interval = 30_000  # ms
purge_offline_workers = 600  # s; for containers that were replaced
max_tasks = 20_000
natural_time = False
tasks_columns = "name,args,result,state,received,runtime,worker"
