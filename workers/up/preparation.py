"""What `up` decides before it starts anything: settings, keys, ports, the private Redis, the
stand-ins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from eagle_logger import wiring
from eagle_logger.clock import Clock
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import PREFIX, Settings, load, write_services
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

_NOT_WRITTEN_DOWN = {
    "data_dir",
    "process_name",
    "log_format",
    "secret_keys",
    "api_token",
    "aws_access_key_id",
    "aws_secret_access_key",
}
"""Settings of this process alone; and secrets that the environment gives, because they are kept
elsewhere, with the settings that are useless without them."""
_NO_PROXY_FOR = "127.0.0.1,localhost"
_PORT_SETTINGS = {
    programs.BRIDGE: ("bridge_port", "bridge_probe_port"),
    programs.FLOWER: ("flower_port",),
}
"""The names of the settings for ports, by program."""


@dataclass(frozen=True, slots=True)
class System:
    """Everything that `up` is going to run. Without --homes, `simulators` is None."""

    settings: Settings
    programs: list[Program]
    simulators: SimulatorSetup | None
    environment: Mapping[str, str] = field(repr=False)
    flower_password: str = field(repr=False)
    configured_ports: frozenset[str] = frozenset()
    """The port settings that the environment names. Their programs never move to another port."""


def prepare(data_dir: Path, homes: int | None) -> System:
    """Decide what runs where, and write the settings that other commands need into the data
    directory, which must be locked.

    Raises ConfigurationError, which lists every setting that makes no sense.
    """
    former = former_services(data_dir)
    forget_services(data_dir)
    if homes is not None:
        _refuse_contradictions(os.environ)
    # With --homes the relay is on loopback, at a port that is chosen below. The check of
    # EAGLE_TEST_CLOCK needs to know that it is on loopback.
    relay = {"relay_url": "http://127.0.0.1"} if homes is not None else {}
    configured = load(data_dir, **relay)
    services = _settings_from_environment(configured)
    private_redis = None
    if "redis_url" not in configured.model_fields_set:
        private_redis = PrivateRedis(data_dir, former.get("redis_url"))
        services["redis_url"] = private_redis.url
    if configured.secret_keys is None and configured.secret_keys_file is None:
        services["secret_keys_file"] = str(key_file(data_dir))
    ports = _choose_ports(configured)
    services |= ports
    # The environment outranks the written settings, and may ask for port 0, which means any port.
    os.environ.update({PREFIX + name.upper(): port for name, port in ports.items()})
    simulators = None
    if homes is not None:
        with_aws = programs.can_simulate_aws()
        simulators = SimulatorSetup.make(homes, data_dir, former, with_aws=with_aws)
        defaults = {"rotate_open_every": str(ROTATE_OPEN_EVERY_S)}
        services = defaults | services | simulators.services()
    write_services(data_dir, services)
    configured_ports = frozenset(
        name
        for names in _PORT_SETTINGS.values()
        for name in names
        if name in configured.model_fields_set and getattr(configured, name)
    )
    system = _assemble_system(data_dir, private_redis, simulators)
    return replace(system, configured_ports=configured_ports)


def move_to_free_ports(system: System, name: str) -> tuple[System, Program] | None:
    """The system with this program on other ports, and the program. None if its ports are free, or
    if the environment names them.

    Writes the new ports into the data directory, where the other commands read them.
    """
    taken = _taken_ports(system, name)
    if not taken or not system.configured_ports.isdisjoint(taken):
        return None
    settings = system.settings.model_copy(update={port: free_port() for port in taken})
    program = (
        programs.bridge_program(settings)
        if name == programs.BRIDGE
        else programs.flower_program(settings, system.flower_password)
    )
    new_ports = {port: str(getattr(settings, port)) for port in taken}
    write_services(settings.data_dir, former_services(settings.data_dir) | new_ports)
    others = [other for other in system.programs if other.name != name]
    return replace(system, settings=settings, programs=[*others, program]), program


def has_taken_port(system: System, name: str) -> bool:
    """Whether one of the program's ports is in use and may be exchanged for another."""
    taken = _taken_ports(system, name)
    return bool(taken) and system.configured_ports.isdisjoint(taken)


def _taken_ports(system: System, name: str) -> list[str]:
    """The names of the settings of those of this program's ports that are in use."""
    ports = _PORT_SETTINGS.get(name, ())
    return [port for port in ports if not is_free(getattr(system.settings, port))]


def _assemble_system(
    data_dir: Path, private_redis: PrivateRedis | None, simulators: SimulatorSetup | None
) -> System:
    settings = load(data_dir)
    wiring.cipher(settings)  # refuses unsound keys now, before each program does so for itself
    password = read_or_make_secret(data_dir.absolute() / FLOWER_PASSWORD)
    everything = [
        *([private_redis.program] if private_redis else []),
        *(programs.stand_in_programs(simulators) if simulators else []),
        programs.flower_program(settings, password),
        *programs.system_programs(settings, wiring.node(settings)),
    ]
    environment = {**os.environ, "EAGLE_DATA_DIR": str(data_dir.absolute())}
    if simulators is not None:
        # Neither the programs nor `up` itself reach this machine through a proxy.
        environment["NO_PROXY"] = os.environ["NO_PROXY"] = (
            f"{os.environ.get('NO_PROXY', '')},{_NO_PROXY_FOR}".lstrip(",")
        )
    return System(settings, everything, simulators, environment, password)


def _refuse_contradictions(environ: Mapping[str, str]) -> None:
    variables = [PREFIX + name.upper() for name in SETTINGS_OF_SIMULATORS]
    contradictions = ", ".join(name for name in variables if environ.get(name))
    if contradictions:
        raise ConfigurationError(
            f"--homes brings its own relay, archive, SNS and SQS along: unset {contradictions}"
        )


def _settings_from_environment(settings: Settings) -> dict[str, str]:
    """The settings that the environment gives, by name. A second terminal may not have them in its
    environment, and must find the same system."""
    return {
        name: _as_text(getattr(settings, name))
        for name in sorted(settings.model_fields_set - _NOT_WRITTEN_DOWN)
        if getattr(settings, name) is not None
    }


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Clock):
        return str(value)
    if isinstance(value, Path):
        return str(value.absolute())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _choose_ports(settings: Settings) -> dict[str, str]:
    """The ports to use, by setting. If a default port is taken, another one is chosen. Raises
    ConfigurationError if a port that the environment names is taken."""
    chosen, taken = {}, []
    for name in (name for names in _PORT_SETTINGS.values() for name in names):
        wanted = settings.probe_port if name == "bridge_probe_port" else getattr(settings, name)
        if name in settings.model_fields_set and wanted and not is_free(wanted):
            taken.append(f"{PREFIX}{name.upper()}: port {wanted} of 127.0.0.1 is taken")
        chosen[name] = str(free_port(wanted))
    if taken:
        raise ConfigurationError("\n".join(taken))
    return chosen
