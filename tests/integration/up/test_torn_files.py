"""Files that are read at a start, empty, cut or zeroed, as a power cut may leave them. A file on
which nothing depends is made anew. Any other is refused in one line that says what to do, never
with a traceback."""

from __future__ import annotations

import json
import shelve
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from cryptography.fernet import Fernet
from flower.events import Events
from tornado.ioloop import IOLoop

from eagle_logger import wiring
from eagle_logger.errors import ConfigurationError
from eagle_logger.inspection.machine_checks import programs_run
from eagle_logger.settings import GIVEN_UP_FILE, SERVICES_FILE, load, write_services
from tests.support.programs import run_to_end
from workers.up.data_dir import LOCK, former_services, key_file, lock_data_dir, read_or_make_secret
from workers.up.measured_run.deaths import DEATHS_FILE, Deaths, record_unseen_deaths
from workers.up.servers import last_writer
from workers.up.supervisor_log import DIED, ProcessEvent

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "half zeroed": lambda content: (
        content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    ),
    "no text": lambda _: b"\xff\xfe\x80\n",
}
DEATH = ProcessEvent(DIED, "fetch-1", 1795474071.976, 4711, "terminated by SIGKILL")
every_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))


def spoil(path: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


@every_damage
def test_a_torn_private_password_is_replaced(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "password"
    before = read_or_make_secret(path)
    assert read_or_make_secret(path) == before
    spoil(path, damage)
    made = read_or_make_secret(path)
    assert len(made) == 32
    assert made.isprintable()
    assert read_or_make_secret(path) == made


@every_damage
def test_a_torn_file_of_services_counts_as_empty(tmp_path: Path, damage: Damage) -> None:
    write_services(tmp_path, {"redis_url": "redis://127.0.0.1:1/0"})
    spoil(tmp_path / SERVICES_FILE, damage)
    assert former_services(tmp_path) == {}


def test_services_that_are_not_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / SERVICES_FILE).write_text(
        '{"redis_url": 5, "relay_url": [], "sqs_url": "http://127.0.0.1"}'
    )
    assert former_services(tmp_path) == {"sqs_url": "http://127.0.0.1"}


@every_damage
def test_a_lock_with_an_unreadable_holder_is_taken(tmp_path: Path, damage: Damage) -> None:
    (tmp_path / LOCK).write_bytes(damage(b"123456789"))
    with lock_data_dir(tmp_path):
        pass


@every_damage
def test_doctor_survives_a_torn_note_of_programs_that_keep_dying(
    tmp_path: Path, damage: Damage
) -> None:
    (tmp_path / GIVEN_UP_FILE).parent.mkdir()
    (tmp_path / GIVEN_UP_FILE).write_bytes(damage(b'["sqs", "flower"]\n'))
    assert programs_run(load(tmp_path)).is_ok


@every_damage
def test_a_torn_record_of_a_death_does_not_hide_the_others(tmp_path: Path, damage: Damage) -> None:
    Deaths(tmp_path).record(DEATH)
    record = (tmp_path / DEATHS_FILE).read_bytes()
    (tmp_path / DEATHS_FILE).write_bytes(damage(record) + b"\n" + record)
    deaths = Deaths(tmp_path)
    assert not deaths.record(DEATH)
    assert deaths.record(replace(DEATH, pid=4712))
    assert (tmp_path / DEATHS_FILE).read_bytes().endswith(b"\n")


@every_damage
def test_up_reads_past_damage_in_supervisors_log(tmp_path: Path, damage: Damage) -> None:
    log = tmp_path / "supervisord.log"
    log.write_bytes(damage(b"2026-11-23 22:47:50,000 INFO spawned: 'fetch-1' with pid 4711\n"))
    assert len(record_unseen_deaths(Deaths(tmp_path), log, 1795474071.0)) <= 1


@every_damage
def test_flower_starts_beside_a_torn_database(tmp_path: Path, damage: Damage) -> None:
    """Flower itself does this; the test notices if it no longer does."""
    state = str(tmp_path / "flower.db")
    with shelve.open(state) as shelf:
        shelf["events"] = "of last time"
    for path in tmp_path.iterdir():
        spoil(path, damage)
    loop = IOLoop(make_current=False)
    try:
        assert (
            Events(Celery("none"), loop, db=state, persistent=True, max_tasks_in_memory=10).state
            is not None
        )
    finally:
        loop.close()


@every_damage
def test_torn_keys_are_refused_and_never_replaced(tmp_path: Path, damage: Damage) -> None:
    path = key_file(tmp_path)
    assert key_file(tmp_path) == path
    spoil(path, damage)
    spoiled = path.read_bytes()
    with pytest.raises(ConfigurationError) as refused:
        wiring.cipher(load(tmp_path, secret_keys_file=key_file(tmp_path)))
    refusal = one_line(refused)
    assert str(path) in refusal
    assert "back" in refusal or "cannot be read" in refusal
    assert path.read_bytes() == spoiled


def test_no_refusal_shows_a_part_of_a_key(tmp_path: Path) -> None:
    key = Fernet.generate_key()
    (tmp_path / "keys").write_bytes(key[:30])
    with pytest.raises(ConfigurationError) as refused:
        wiring.cipher(load(tmp_path, secret_keys_file=tmp_path / "keys"))
    assert key[:10].decode() not in one_line(refused)


@every_damage
def test_a_torn_name_of_a_log_volume_is_refused_in_words(tmp_path: Path, damage: Damage) -> None:
    folder = wiring.log_folder(load(tmp_path))
    name = folder.node()
    spoil(folder.root / "node-id", damage)
    with pytest.raises(ConfigurationError) as refused:
        folder.node()
    assert "delete the file" in one_line(refused)
    (folder.root / "node-id").unlink()
    assert folder.node() not in {"", name}


@every_damage
def test_a_torn_note_of_the_server_is_refused_in_words(tmp_path: Path, damage: Damage) -> None:
    (tmp_path / "version").write_bytes(damage(b"valkey 9.1.2\n"))
    with pytest.raises(ConfigurationError) as refused:
        last_writer(tmp_path)
    assert str(tmp_path / "version") in one_line(refused)


@every_damage
def test_other_commands_say_what_to_do_about_services_that_cannot_be_read(
    tmp_path: Path, damage: Damage
) -> None:
    write_services(tmp_path, {"redis_url": "redis://127.0.0.1:1/0"})
    spoil(tmp_path / SERVICES_FILE, damage)
    code = "import sys; from eagle_logger.cli.main import run; sys.argv[0] = 'eagle-logger'; run()"
    command = [sys.executable, "-c", code, "users", "list"]
    done = run_to_end(command, env={"EAGLE_DATA_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.endswith("start `eagle-logger up` anew")


def test_the_record_of_a_death_has_its_pid(tmp_path: Path) -> None:
    Deaths(tmp_path).record(DEATH)
    assert json.loads((tmp_path / DEATHS_FILE).read_bytes())["pid"] == 4711
