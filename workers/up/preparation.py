"""What has to be settled before anything starts: settings, keys, ports, the private Redis, the
stand-ins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.clock import Clock
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import PREFIX, Settings
from workers.up import programs
from workers.up.data_dir import (
    FLOWER_PASSWORD,
    forget_services,
    former_services,
    key_file,
    read_or_make_secret,
)
from workers.up.ports import free_port, is_free
from workers.up.programs import Program
from workers.up.redis_server import PrivateRedis
from workers.up.simulators import ROTATE_OPEN_EVERY_S, SETTINGS_OF_SIMULATORS, SimulatorSetup

_NOT_NOTED = {
    "data_dir",
    "process_name",
    "log_format",
    "secret_keys",
    "api_token",
    "aws_access_key_id",
    "aws_secret_access_key",
}
"""Settings of this process alone, and secrets that somebody keeps elsewhere (with what is worth
nothing without them)."""
_LOOPBACK = "127.0.0.1,localhost"
PORTS = {programs.BRIDGE: ("bridge_port", "bridge_probe_port"), programs.FLOWER: ("flower_port",)}
"""The settings of their ports, by program."""


@dataclass(frozen=True, slots=True)
class System:
    """Everything that `up` is going to run. `plan` is None without stand-ins."""

    settings: Settings
    programs: list[Program]
    plan: SimulatorSetup | None
    environment: Mapping[str, str] = field(repr=False)
    flower_password: str = field(repr=False)
    ports_asked_for: frozenset[str] = frozenset()
    """The port settings that the environment names. Their programs never move to another port."""


def prepare(data_dir: Path, homes: int | None) -> System:
    """Decide what runs where, and write it down for the other commands. The data directory must be
    locked.

    Raises ConfigurationError, which lists every setting that makes no sense.
    """
    former = former_services(data_dir)
    forget_services(data_dir)
    if homes is not None:
        _refuse_contradictions(os.environ)
    # Only --homes knows the relay's address, and it is on loopback: the check of EAGLE_TEST_CLOCK
    # asks for that.
    given = settings_module.load(
        data_dir, **({"relay_url": "http://127.0.0.1"} if homes is not None else {})
    )
    services = _explicit(given)
    private = (
        PrivateRedis(data_dir, former.get("redis_url"))
        if "redis_url" not in given.model_fields_set
        else None
    )
    if private is not None:
        services["redis_url"] = private.url
    if given.secret_keys is None and given.secret_keys_file is None:
        services["secret_keys_file"] = str(key_file(data_dir))
    ports = _ports(given)
    services |= ports
    # The environment outranks what is written down, and there a port may be 0: any.
    os.environ.update({PREFIX + name.upper(): port for name, port in ports.items()})
    plan = None
    if homes is not None:
        plan = SimulatorSetup.make(homes, data_dir, former, with_aws=programs.can_simulate_aws())
        services = {"rotate_open_every": str(ROTATE_OPEN_EVERY_S)} | services | plan.services()
    settings_module.write_services(data_dir, services)
    asked_for = frozenset(
        name
        for names in PORTS.values()
        for name in names
        if name in given.model_fields_set and getattr(given, name)
    )
    return replace(_system(data_dir, private, plan), ports_asked_for=asked_for)


def with_a_free_port(system: System, name: str) -> tuple[System, Program] | None:
    """The system with this program on other ports, and the program. None if its ports are free, or
    if the environment names them.

    The other commands read the new ports in the data directory.
    """
    taken = [port for port in PORTS.get(name, ()) if not is_free(getattr(system.settings, port))]
    if not taken or not system.ports_asked_for.isdisjoint(taken):
        return None
    settings = system.settings.model_copy(update={port: free_port() for port in taken})
    program = (
        programs.bridge_program(settings)
        if name == programs.BRIDGE
        else programs.flower_program(settings, system.flower_password)
    )
    noted = {
        **former_services(settings.data_dir),
        **{port: str(getattr(settings, port)) for port in taken},
    }
    settings_module.write_services(settings.data_dir, noted)
    everything = [program if one.name == name else one for one in system.programs]
    return replace(system, settings=settings, programs=everything), program


def _system(data_dir: Path, private: PrivateRedis | None, plan: SimulatorSetup | None) -> System:
    settings = settings_module.load(data_dir)
    wiring.cipher(settings)  # says now, and once, if the keys are not sound
    password = read_or_make_secret(data_dir.absolute() / FLOWER_PASSWORD)
    everything = [
        *([private.program] if private else []),
        *(programs.stand_in_programs(plan) if plan else []),
        programs.flower_program(settings, password),
        *programs.system_programs(settings, wiring.node(settings)),
    ]
    environment = {**os.environ, "EAGLE_DATA_DIR": str(data_dir.absolute())}
    if plan is not None:
        # What is on this machine is not asked for through a proxy, by the programs or by us.
        environment["NO_PROXY"] = os.environ["NO_PROXY"] = (
            f"{os.environ.get('NO_PROXY', '')},{_LOOPBACK}".lstrip(",")
        )
    return System(settings, everything, plan, environment, password)


def _refuse_contradictions(environ: Mapping[str, str]) -> None:
    wrong = [name for one in SETTINGS_OF_SIMULATORS if environ.get(name := PREFIX + one.upper())]
    if wrong:
        raise ConfigurationError(
            f"--homes brings its own relay, archive, SNS and SQS along: unset {', '.join(wrong)}"
        )


def _explicit(settings: Settings) -> dict[str, str]:
    """What the environment says, so that a second terminal, which may not say it, finds the same
    system."""
    return {
        name: _text(getattr(settings, name))
        for name in sorted(settings.model_fields_set - _NOT_NOTED)
        if getattr(settings, name) is not None
    }


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Clock):
        return str(value)
    if isinstance(value, Path):
        return str(value.absolute())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _ports(settings: Settings) -> dict[str, str]:
    """A port that was asked for has to be free; what is the default gives way to another program."""
    found, taken = {}, []
    for name in (name for names in PORTS.values() for name in names):
        wanted = settings.probe_port if name == "bridge_probe_port" else getattr(settings, name)
        if name in settings.model_fields_set and wanted and not is_free(wanted):
            taken.append(f"{PREFIX}{name.upper()}: port {wanted} of 127.0.0.1 is taken")
        found[name] = str(free_port(wanted))
    if taken:
        raise ConfigurationError("\n".join(taken))
    return found
