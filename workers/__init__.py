"""What runs as a process: the only place that imports celery or tornado."""
