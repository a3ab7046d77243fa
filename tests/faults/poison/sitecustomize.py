"""Makes the replies of one home kill the process that reads them. Python runs this module at its
start, if it is on its path.

The file `poison` in the data directory holds the home's cloud id. Without the file nothing dies.
"""

from __future__ import annotations

import importlib.machinery
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

CLIENT = "eagle_logger.rainforest.relay.client"
FILE = "poison"


class _Poisoned(importlib.machinery.PathFinder):
    """Imports the relay client so that it dies of the victim's replies."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = super().find_spec(fullname, path, target) if fullname == CLIENT else None
        if spec is not None and spec.loader is not None:
            run: Any = spec.loader.exec_module

            def run_and_poison(module: ModuleType) -> None:
                run(module)
                _poison(module.RelayClient)

            setattr(spec.loader, "exec_module", run_and_poison)  # noqa: B010  (mypy forbids the plain assignment)
        return spec


def _poison(client: Any) -> None:
    ask = client.ask

    async def ask_and_die(self: Any, credentials: Any, *more: Any) -> Any:
        reply = await ask(self, credentials, *more)
        if credentials.cloud_id == _victim():
            os.kill(os.getpid(), signal.SIGKILL)
        return reply

    client.ask = ask_and_die


def _victim() -> str | None:
    poison = Path(os.environ["EAGLE_DATA_DIR"], FILE)
    return poison.read_text() if poison.exists() else None


if __name__ == "sitecustomize":  # a test imports this module only for FILE
    sys.meta_path.insert(0, _Poisoned)
