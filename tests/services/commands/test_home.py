"""How a command reaches a home that another process holds."""

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiku_platform.settings import Settings
from zhiku_services.commands import home as commands_home
from zhiku_services.commands.home import services, settings_for
from zhiku_services.embedded.home import HomeInUseError, hold_home, prepare_home, socket_path


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Settings]:
    """A home whose process has not opened its socket."""
    settings = prepare_home(Settings(home=tmp_path))
    with hold_home(settings.home):
        yield settings


def test_a_command_waits_for_a_process_that_is_just_starting(held: Settings) -> None:
    path = socket_path(held.home)
    # What a process that was killed leaves behind.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with socket.socket(socket.AF_UNIX) as listener:

        def open_door() -> None:
            path.unlink()
            listener.bind(str(path))
            listener.listen()

        opening = threading.Timer(0.5, open_door)
        opening.start()
        with services(held) as clients:
            assert opening.finished.is_set()
            assert clients.settings.home == held.home
        opening.join()


def test_a_home_that_takes_no_commands_is_given_up(held: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_home, "_START_WAIT_S", 0.2)
    with pytest.raises(HomeInUseError, match="takes no commands"), services(held):
        pass


def test_the_brokers_missing_host_is_not_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commands_home, "configure_logging", lambda _: None)
    settings_for(tmp_path)
    log = logging.getLogger("kombu.connection")
    log.warning("No hostname was supplied. Reverting to default '%s'", "localhost")
    log.warning("Something else.")
    assert caplog.messages == ["Something else."]
