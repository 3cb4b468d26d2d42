"""Runs notebooks as nbdev_test does, with changed copies of a cell tried on the way.

The cells run once, in order. Before a cell that has mutants, the process forks for each of them: the child runs the
changed cell and those that follow, stops at the first error and ends; the parent goes on with the cell as it is.
A child may write only to the temporary folder of its notebook, which is put back when it ends, and to the cache.
"""
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sites import Mutant

HERE = Path.cwd()
ROOT = next(p for p in (HERE, *HERE.parents, Path(__file__).resolve().parent.parent) if (p/"settings.ini").is_file())
SLACK = 30           # seconds a child may take beyond three times what the rest of the notebook takes
MEMORY = 6 * 2**30   # bytes a child may take beyond what its parent has


@dataclass
class Cell:
    number: int      # as nbdev_test counts, from 1
    source: str
    exported: bool


@dataclass
class Trial:
    "What became of one mutant."
    cell: Cell
    mutant: Mutant
    caught: bool
    error: str       # the last line of what caught it
    seconds: float


@dataclass
class Outcome:
    "What became of one notebook."
    passed: bool
    error: str = ""
    seconds: float = 0.0
    trials: list[Trial] = field(default_factory=list)
    trial_seconds: float = 0.0


def preload() -> None:
    "Import once what most notebooks import: each runs in a fork of this process. No thread is started before."
    import medbridge, torch, torchvision, open_clip, timm, transformers  # noqa: E401, F401
    import matplotlib.pyplot, nbdev.test, pandas, scipy.stats, seaborn, skimage, sklearn.linear_model  # noqa: E401, F401
    import nbformat, peft, pydicom, transformers.models.clip.modeling_clip  # noqa: E401, F401
    torch.set_num_threads(1)
    # torch makes its pool anew at the first call after a fork; two threads that both come first find none
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def read_cells(path: Path) -> list[Cell]:
    "The code cells of a notebook that nbdev_test runs."
    from fastcore.basics import str2bool
    from nbdev.config import get_config
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import NBProcessor
    notebook = NBProcessor(path, procs=FrontmatterProc, rm_directives=False, process=True).nb
    if str2bool(getattr(notebook, "frontmatter_", {}).get("skip_exec", False)): return []
    skipped = {*get_config().tst_flags.split(), "skip"}
    cells = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.source.strip(): continue
        directives = getattr(cell, "directives_", None) or {}
        off = directives.get("eval:", [""])[0].lower() == "false"
        if off or skipped & directives.keys() or "nbdev_export(" in cell.source: continue
        exported = bool({"export", "exporti", "exports"} & directives.keys())
        cells.append(Cell(cell.idx_ + 1, cell.source, exported))
    return cells


# what a child may do

class Guard:
    "An audit hook that refuses a child's writes outside of the folders it was given."
    def __init__(self, folders):
        self.folders = tuple(str(Path(f).resolve()) for f in [*folders, "/dev", "/proc"])

    def __call__(self, event, arguments):
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT): return
            self.check(path)
        elif event in ("os.remove", "os.rmdir"):
            if arguments[1] == -1: self.check(arguments[0])   # otherwise named below an open folder, checked before
        elif event in ("shutil.rmtree", "os.truncate"): self.check(arguments[0])
        elif event == "os.rename":
            self.check(arguments[0])
            self.check(arguments[1])

    def check(self, path):
        if not isinstance(path, (str, bytes, os.PathLike)): return
        text = os.path.realpath(os.fsdecode(path))
        if not text.startswith(self.folders): raise PermissionError(13, "a mutant may not write here", text)


class Folder:
    "A folder of files that is put back as it was after each child."
    def __init__(self, path: Path):
        self.path, self.copy = path, path.parent/"before"

    def state(self, path: Path) -> dict[str, tuple]:
        "What is there, with sizes and times."
        found = {}
        for here, folders, files in os.walk(path):
            for name in folders + files:
                file = os.path.join(here, name)
                seen = os.lstat(file)
                found[os.path.relpath(file, path)] = (seen.st_mode, 0 if name in folders else (seen.st_size, seen.st_mtime_ns))
        return found

    def keep(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.path, self.copy, symlinks=True, ignore_dangling_symlinks=True)
        self.before = self.state(self.path)

    def put_back(self) -> None:
        now = self.state(self.path)
        if now == self.before: return
        for name in sorted(now, key=len, reverse=True):
            file = self.path/name
            if now[name] == self.before.get(name): continue
            if file.is_dir() and not file.is_symlink():
                if name not in self.before: shutil.rmtree(file, ignore_errors=True)
            else: file.unlink(missing_ok=True)
        for name in sorted(self.before, key=len):
            file, old = self.path/name, self.copy/name
            if os.path.lexists(file): continue
            if old.is_symlink(): file.symlink_to(os.readlink(old))
            elif old.is_dir(): file.mkdir()
            else: shutil.copy2(old, file)


# running

class Notebook:
    "One run of a notebook; `start` once, then `run` each cell. To be used in a process of its own."
    def __init__(self, path: Path, scratch: Path, own_cache: bool):
        self.path, self.scratch = path, scratch
        self.folder = Folder(scratch/"tmp")
        self.folder.path.mkdir()
        os.environ["TMPDIR"] = str(self.folder.path)
        tempfile.tempdir = None
        os.environ["IN_TEST"] = "1"
        cache = os.environ.get("MEDBRIDGE_CACHE")
        if own_cache:
            mine = self.folder.path/"medbridge-cache"
            if cache and Path(cache).is_dir(): shutil.copytree(cache, mine, symlinks=True)
            os.environ["MEDBRIDGE_CACHE"] = cache = str(mine)
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self.folder.path/"inductor")
        self.allowed = [self.folder.path] + ([cache] if cache else [])

    def start(self) -> None:
        from execnb.shell import CaptureShell
        os.chdir(ROOT/"nbs")
        sys.path.insert(0, str(ROOT))
        self.shell = CaptureShell(self.path)
        os.chdir(self.path.parent)

    def run(self, number: int, source: str) -> str:
        "Run one cell; its error with the traceback, or nothing."
        self.shell._cell_idx = number
        self.shell.run(source)
        if self.shell.exc is None: return ""
        return self.shell.prettytb(fname=self.path)


def child(notebook: Notebook, cells: list[Cell], mutant: Mutant | None, log: int, report: int) -> None:
    "A fork: the first cell changed, then the others; ends the process. Seconds of the cells go to `report`."
    code = 1
    try:
        os.setsid()
        for stream in (1, 2): os.dup2(log, stream)
        sys.dont_write_bytecode = True
        used = resource.getrlimit(resource.RLIMIT_DATA)[1]
        data = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1])*1024
        resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY, used))
        sys.addaudithook(Guard(notebook.allowed))
        seconds: dict[int, float] = {}
        word = ""
        for at, cell in enumerate(cells):
            started = time.time()
            changed = mutant is not None and at == 0
            error = notebook.run(cell.number, mutant.apply(cell.source) if changed else cell.source)
            seconds[cell.number] = time.time() - started
            if error:
                word = f"cell {cell.number}: {one_line(notebook.shell.exc)}"
                break
        os.write(report, json.dumps(dict(seconds=seconds, error=word)).encode())
        code = 1 if word else 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:200]


def wait(pid: int, limit: float) -> tuple[int | None, float]:
    "Exit status of a child, None when it was ended for taking too long; and its seconds."
    started, pause = time.time(), 0.002
    status = None
    while time.time() - started < limit:
        done, found = os.waitpid(pid, os.WNOHANG)
        if done:
            status = found
            break
        time.sleep(pause)
        pause = min(0.1, pause*1.3)
    seconds = time.time() - started
    try: os.killpg(pid, signal.SIGKILL)  # what it started as well
    except ProcessLookupError: pass
    if status is None: os.waitpid(pid, 0)
    return status, seconds


def attempt(notebook: Notebook, cells: list[Cell], mutant: Mutant | None, limit: float) -> tuple[str, float, dict]:
    "Fork for one mutant (None: the plain cells): the error that caught it or nothing, seconds, seconds of each cell."
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile(dir=notebook.scratch) as log, tempfile.TemporaryFile(dir=notebook.scratch) as report:
        pid = os.fork()
        if not pid: child(notebook, cells, mutant, log.fileno(), report.fileno())
        status, seconds = wait(pid, limit)
        notebook.folder.put_back()
        log.seek(0)
        report.seek(0)
        text, told = log.read().decode(errors="replace").strip(), json.loads(report.read() or b"{}")
    times = {int(k): v for k, v in told.get("seconds", {}).items()}
    if status is None: return f"took longer than {limit:.0f} s", seconds, times
    if status == 0: return "", seconds, times
    return told.get("error") or f"the process ended: {text[-200:]}", seconds, times


def run_notebook(path: Path, mutants: dict[int, list[Mutant]] | None = None, careful=False, limit=600.0,
                 told: Callable[[Trial], None] | None = None) -> Outcome:
    """Run a notebook, trying `mutants` (by cell number) on the way. In a process of its own, after `preload`.

    `careful`: with a copy of the cache, and the plain cells run in a fork as well, which must pass; `limit` then
    follows from their time. Otherwise a child may take `limit` seconds.
    """
    mutants = {number: some for number, some in (mutants or {}).items() if some}
    outcome = Outcome(True)
    started = time.time()
    cells = read_cells(path)
    with tempfile.TemporaryDirectory(prefix="notebook-", ignore_cleanup_errors=True) as scratch:
        notebook = Notebook(path, Path(scratch).resolve(), careful)
        notebook.start()
        times: dict[int, float] = {}
        for at, cell in enumerate(cells):
            rest = cells[at:]
            waiting = mutants.pop(cell.number, [])
            begun = time.time()
            if waiting: notebook.folder.keep()
            if waiting and careful and (not times or not mutants):
                error, _, seen = attempt(notebook, rest, None, 1200)
                times = times or seen
                if error: return Outcome(False, f"the cells from {cell.number} on fail in a fork, unchanged: {error}")
            for mutant in waiting:
                allowed = 3*sum(times.get(c.number, 0) for c in rest) + SLACK if careful else limit
                error, seconds, _ = attempt(notebook, rest, mutant, allowed)
                outcome.trials.append(Trial(cell, mutant, bool(error), error, seconds))
                if told: told(outcome.trials[-1])
            outcome.trial_seconds += time.time() - begun
            outcome.error = notebook.run(cell.number, cell.source)
            if outcome.error:
                outcome.passed = False
                break
    outcome.seconds = time.time() - started - outcome.trial_seconds
    return outcome


# many at a time

@dataclass
class Done:
    "A task that was run in a fork."
    task: object
    answer: object   # None when the process ended without one
    output: str
    seconds: float


def forked(work: Callable, task, log, answer, limit: int) -> None:
    "The body of a fork: what `work` gives is pickled to `answer`; never returns."
    code = 1
    try:
        for stream in (1, 2): os.dup2(log.fileno(), stream)
        signal.alarm(limit)
        pickle.dump(work(task), answer)
        answer.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finished(status: int, task, log, answer, started: float) -> Done:
    "What a fork left behind."
    seconds = time.time() - started
    log.seek(0)
    answer.seek(0)
    output = log.read().decode(errors="replace")
    if os.WIFSIGNALED(status):
        output += f"\nended by {signal.Signals(os.WTERMSIG(status)).name} after {seconds:.0f} s"
    return Done(task, pickle.load(answer) if status == 0 else None, output, seconds)


def in_forks(tasks: list, work: Callable, free: Callable[[], int], limit=1800) -> Iterator[Done]:
    "`work(task)` for each task in a fork of this process, as many at a time as `free()` says; as they end."
    waiting, running = list(tasks), {}
    while waiting or running:
        room = max(1, free())   # asked in every round, for it may start something itself
        while waiting and len(running) < room:
            task, log, answer = waiting.pop(0), tempfile.TemporaryFile(), tempfile.TemporaryFile()
            sys.stdout.flush()
            pid = os.fork()
            if not pid: forked(work, task, log, answer, limit)
            running[pid] = task, log, answer, time.time()
        time.sleep(0.02)
        for pid in list(running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done: yield finished(status, *running.pop(pid))
