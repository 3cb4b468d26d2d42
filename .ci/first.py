"""Every line of README.md's code blocks as printed, in order, in a fresh clone.

Each line of a shell block has a fresh shell, which knows HOME (an empty folder) and PATH (the system's, and Python's) and
nothing else; each block of Python is one run of the clone's Python. A command that serves has to answer, and is stopped.

    first.py          the lines that take seconds; the clone's .venv holds the packages of the environment that runs this,
                      linked and not copied, so that nothing is fetched and nothing of it can be changed from there
    first.py --all    all lines, `make` setting up an environment of its own: an hour, and a package index is needed

The clone has the commit that is checked out, and what was changed since in files that git tracks.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from report import BIN, ROOT, closing, record

ADDRESS = "https://github.com/medbridge/medbridge"
# lines that are not run in seconds, and why
LONG = {"make reproduce": "a batch of notebooks takes many minutes, and the one of preset check runs in `make test`",
        "make test": "it runs this"}
SERVES = {"make lab": "api/contents/nbs/tutorials"}   # what answers there, below the address that is printed
SHELLS, PYTHONS, OTHERS = ("sh", "bash"), ("python",), ("bibtex", "yaml", "text")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.M | re.S)
LIMIT = dict(seconds=900, long=3*3600)


# what is printed

@dataclass
class Line:
    "One thing that a reader runs: a line of a shell, or a block of Python."
    text: str
    python: bool = False

    @property
    def command(self) -> str:
        "A shell's line without its comment."
        return re.split(r"\s+#", self.text)[0].strip()

    @property
    def name(self) -> str:
        first, *more = self.text.splitlines()
        return f"{first} ... ({len(more) + 1} lines)" if more else self.command


def lines_of(text: str) -> list[Line]:
    "What the code blocks of a page ask a reader to run. Raises `ValueError` for a block in a language that is not known."
    found = []
    for language, body in FENCE.findall(text):
        if language in PYTHONS: found.append(Line(body, python=True))
        elif language in SHELLS:
            joined = body.replace("\\\n", " ")
            found += [Line(line) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        elif language not in OTHERS: raise ValueError(f"a block in '{language}': say sh or python, or {OTHERS}")
    return found


def named_in_vain(lines: list[Line], names=(*LONG, *SERVES)) -> list[str]:
    "Names of long or serving lines that no line has."
    return [name for name in names if name not in {line.command for line in lines}]


# where it is run

def programs() -> str:
    "PATH: the system's folders, after that of the Python that environments are made with."
    return os.pathsep.join([str(Path(sys.base_prefix)/"bin"), "/usr/local/bin", "/usr/bin", "/bin"])


def make_home(home: Path) -> None:
    "An empty home: the repository's address leads to this checkout, and no window is opened."
    settings = home/".jupyter/jupyter_server_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"ServerApp": {"open_browser": false}}')
    (home/".gitconfig").write_text(f'[url "{ROOT}"]\n\tinsteadOf = {ADDRESS}\n[safe]\n\tdirectory = *\n'
                                   '[advice]\n\tdetachedHead = false\n')


def without_index(home: Path) -> None:
    "pip takes what is there, builds included, and asks nobody; its own spelling of that is false where it means true."
    file = home/".config/pip/pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[install]\nno-index = true\nno-build-isolation = false\n")


class Reader:
    "Somebody who runs what is printed, and has a home and PATH."
    def __init__(self, folder: Path, index: bool): # index: may packages be fetched?
        self.place = folder                      # where lines are run: the clone, once it is there
        self.clone = folder/Path(ADDRESS).name
        self.home = folder/"home"
        make_home(self.home)
        if not index: without_index(self.home)

    def start(self, *command, **options) -> subprocess.Popen:
        "A command in a session of its own, with HOME and PATH only."
        known = ("env", "-i", f"HOME={self.home}", f"PATH={programs()}")
        return subprocess.Popen([*known, *command], cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True, **options)

    def run(self, line: Line, limit: float) -> tuple[bool, str]:
        "Whether a line ended well, and what it printed."
        command = (".venv/bin/python", "-") if line.python else ("bash", "-c", line.text)
        process = self.start(*command, stdin=subprocess.PIPE)
        try: said, _ = process.communicate(line.text if line.python else "", timeout=limit)
        except subprocess.TimeoutExpired:
            end(process)
            return False, f"not at its end after {limit:.0f} s"
        if line.text.startswith("git clone"): self.place = self.clone
        return process.returncode == 0, said

    def serve(self, line: Line, below: str, limit: float) -> tuple[bool, str]:
        "Whether a server prints an address that answers."
        with tempfile.TemporaryFile("w+") as log:
            process = self.start("bash", "-c", f"{{ {line.command}; }} >&{log.fileno()} 2>&1", pass_fds=(log.fileno(),),
                                 stdin=subprocess.DEVNULL)
            try: ok = answers(process, log, below, limit)
            finally: end(process)
            log.seek(0)
            return ok, log.read()


def end(process: subprocess.Popen) -> None:
    "End a command and what it started."
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try: os.killpg(process.pid, sign)
        except ProcessLookupError: return
        try: process.wait(5)
        except subprocess.TimeoutExpired: pass


def answers(process: subprocess.Popen, log, below: str, limit: float) -> bool:
    "Wait for an address in what a server prints, and ask there."
    until = time.time() + limit
    while time.time() < until and process.poll() is None:
        log.seek(0)
        found = re.search(r"(http://(?:127\.0\.0\.1|localhost):\d+)/\S*\?token=(\w+)", log.read())
        if found and answered(f"{found[1]}/{below}?token={found[2]}"): return True
        time.sleep(0.2)
    return False


def answered(address: str) -> bool:
    "Whether a page is there; an address may be printed a moment before its server listens."
    try:
        with urllib.request.urlopen(address, timeout=30) as answer: return answer.status == 200
    except urllib.error.URLError: return False


# the packages of this environment

def share(clone: Path) -> None:
    "An environment of the clone's own, in which the packages of this one are found and nothing of this one is changed."
    venv = clone/".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    paths = dict.fromkeys([str(clone), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (next(venv.glob("lib/*/site-packages"))/"shared.pth").write_text("\n".join(paths) + "\n")
    for script in BIN.iterdir(): share_script(script, venv/"bin")
    for folder in ("share", "etc", "wheels"):
        there = BIN.parent/folder
        if there.is_dir() and not (venv/folder).exists(): (venv/folder).symlink_to(there)
    (venv/".complete").touch()


def share_script(script: Path, folder: Path) -> None:
    "A script of this environment, for the Python of another one; programs and what is there are left out."
    if not script.is_file() or (folder/script.name).exists(): return
    content = script.read_bytes()
    if not content.startswith(b"#!"): return
    ours, theirs = f"{BIN}/python".encode(), f"{folder}/python".encode()
    (folder/script.name).write_bytes(content.replace(ours, theirs, 1))
    shutil.copymode(script, folder/script.name)


def bring_changes(clone: Path) -> None:
    "What was changed since the commit, in files that git tracks."
    changes = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=ROOT, capture_output=True, check=True).stdout
    if changes: subprocess.run(["git", "apply", "--whitespace=nowarn"], cwd=clone, input=changes, check=True)


# all of it

def is_checkout() -> bool:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True)
    return done.returncode == 0


def run_line(reader: Reader, line: Line, everything: bool) -> bool:
    "Run a line and record it; one that is long is run only where everything is asked for."
    if line.command in LONG and not everything:
        print(f"left out: {line.command}: {LONG[line.command]}", flush=True)
        return True
    started = time.time()
    limit = LIMIT["long" if everything else "seconds"]
    if line.command in SERVES: ok, said = reader.serve(line, SERVES[line.command], limit)
    else: ok, said = reader.run(line, limit)
    return record(f"README.md: {line.name}", ok, said, time.time() - started)


def main() -> int:
    everything = "--all" in sys.argv
    if not is_checkout():
        print("NOTICE  no git checkout: the lines of README.md are not run")
        return closing()
    lines = lines_of((ROOT/"README.md").read_text(encoding="utf-8"))
    vain = named_in_vain(lines)
    record("README.md has the lines that are named here", not vain and len(lines) > 5, f"{vain}, {len(lines)} lines")
    with tempfile.TemporaryDirectory(prefix="first-") as folder:
        reader = Reader(Path(folder).resolve(), index=everything)
        for line in lines:
            there = reader.place == reader.clone
            if not run_line(reader, line, everything): break      # what follows rests on it
            if there or reader.place != reader.clone: continue
            bring_changes(reader.clone)
            if not everything: share(reader.clone)
    return closing()


if __name__ == "__main__": sys.exit(main())
