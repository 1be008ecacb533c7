"""One shell per page, as a reader has one: directory and variables stay from block to block."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from harness.process import wait_until

from docs.output import shows
from docs.page import Block
from docs.ports import Ports

SECONDS_MAX = 60
"""Of one call. A command of the documentation that takes longer is no example."""

_OVER = "\x1e over "
"""What the shell prints behind a call, with its exit code; no command prints a record separator."""

_BEGINNING = """
trap 'code=$?; ((failed)) || failed=$code' ERR
cyan() { command cyan --yes "$@"; }
"""
"""Notes the first failure of a call. Readers sit at a terminal, where `cyan` asks; nobody does here."""


class Failed(AssertionError):
    """A block did not do what its page says; the message names page and line."""

    def __init__(self, block: Block, problem: str, printed: str = ""):
        super().__init__(f"{block.place}: {problem}\n{printed}".rstrip())


class Shell:
    """A bash in a directory of its own. A context manager that ends it and all that it started."""

    def __init__(self, directory: Path, ports: Ports, variables: dict[str, str]):
        self.directory, self.ports, self.variables = directory, ports, variables
        self._said = directory.with_suffix(".out")
        self._groups: list[subprocess.Popen] = []
        self._bash = self._start(["bash"], subprocess.PIPE, self._said)
        self._bash.stdin.write(_BEGINNING)

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._groups):
            _end(process)

    def write(self, block: Block, path: Path | None = None) -> Path:
        """Writes a block to the file that its note names."""
        path = path or self.directory / block.notes["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.ports.replaced(block.text))
        path.chmod(0o755)  # some are programs, and none is harmed by it
        return path

    def run(self, block: Block) -> None:
        if block.background_ports is not None:
            self._begin(block)
        elif block.language == "console":
            self._converse(block)
        else:
            _expect(block, *self._call(block, block.text))

    def _converse(self, block: Block) -> None:
        """Commands after `$ `, each with the output that the page shows below it."""
        for command, shown in conversation(block.text):
            code, printed = self._call(block, command)
            if shown.strip() and not shows(shown, printed, exact=command == "echo $?"):
                raise Failed(block, f"`{command}` printed something else:", printed)
        _expect(block, code, printed)

    def _call(self, block: Block, text: str) -> tuple[int, str]:
        """The first exit code that is not 0, and the output."""
        begun = self._said.stat().st_size
        text = self.ports.replaced(text)
        # `$?` of the command before must be there for `echo $?`, so nothing is put in between.
        call = f"failed=0; (exit ${{last-0}})\n{{ {text}\n}} </dev/null; last=$?\n"
        if text.strip() == "echo $?":
            call = "failed=0; echo ${last-0}\n"
        self._bash.stdin.write(call + f"printf '{_OVER}%s\\n' \"$failed\"\n")
        self._bash.stdin.flush()

        def printed() -> str:
            return self._said.read_bytes()[begun:].decode(errors="replace")

        try:
            wait_until("", lambda: _OVER in printed() or self._bash.poll() is not None, SECONDS_MAX)
        except TimeoutError:
            raise Failed(block, f"not over within {SECONDS_MAX} s:", printed()) from None
        output, _, code = printed().partition(_OVER)
        return int(code or 2), self.ports.put_back(output)  # 2: bash could not read it, and ended

    def _begin(self, block: Block) -> None:
        """Starts what goes on running, and waits until its ports are open."""
        log = self.directory.with_suffix(f".background-{len(self._groups)}")
        script = self.ports.replaced(block.text)
        process = self._start(["bash", "-c", script], subprocess.DEVNULL, log)

        def open_or_over() -> bool:
            ports = [self.ports.real(port) for port in block.background_ports or []]
            return process.poll() is not None or all(map(_is_open, ports))

        wait_until(f"{block.place}: its ports are open", open_or_over, 30)
        if process.poll() is not None:
            raise Failed(block, f"ended with exit code {process.returncode}", log.read_text())

    def _start(self, arguments: list[str], stdin: int, log: Path) -> subprocess.Popen:
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                cwd=self.directory,
                env=os.environ | self.variables,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._groups.append(process)
        return process


def conversation(text: str) -> list[tuple[str, str]]:
    """Commands and what the page shows below each; a line that ends in `\\` goes on."""
    turns: list[list[str]] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on:
            turns[-1][0] += "\n" + line
        elif line.startswith("$ "):
            turns.append([line[2:], ""])
        elif turns:
            turns[-1][1] += line + "\n"
            continue
        goes_on = line.endswith("\\")
    return [(command, shown) for command, shown in turns]


def _expect(block: Block, code: int, printed: str) -> None:
    if code != block.exit_code:
        raise Failed(block, f"exit code {code}, not {block.exit_code}:", printed)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen) -> None:
    """The whole process group: the shell and what it started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
