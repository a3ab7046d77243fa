"""A stand-in for Amazon's SNS and SQS: moto, with a topic and a queue subscribed to it."""  # noqa: INP001  (a script of the image)

from __future__ import annotations

import os
import signal
import threading

from moto.server import ThreadedMotoServer

from eagle_logger.settings import load
from workers.up.simulators import create_topic_and_queue

PORT = 5000


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = ThreadedMotoServer("0.0.0.0", PORT)  # noqa: S104  (inside its container)
    server.start()
    # moto forgets everything when it ends, so each start makes the topic and the queue.
    create_topic_and_queue(load())
    print(f"SNS and SQS at {os.environ['EAGLE_AWS_ENDPOINT_URL']}", flush=True)  # noqa: T201
    stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
