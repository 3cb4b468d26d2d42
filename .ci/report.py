"What the checks share: commands that are run, lines that are printed, and how long each part took."
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
os.environ.update(MEDBRIDGE_QUIET="1", HF_HUB_OFFLINE="1", PYTHONWARNINGS="ignore", OMP_NUM_THREADS="1",
                  PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
STARTED = time.time()
SHOWN = 6000   # characters of the output of what failed
results: dict[str, bool] = {}
parts: dict[str, float] = {}


def clock(seconds: float) -> str:
    return f"{int(seconds)//60}:{int(seconds) % 60:02d}"


def run(*command, cwd=ROOT, threads=1, **env) -> tuple[bool, str, float]:
    "Run a command: whether it ended well, its output, its seconds."
    started = time.time()
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads), **env})
    return done.returncode == 0, done.stdout + done.stderr, time.time() - started


def record(name: str, ok: bool, output="", seconds=0.0, progress="") -> bool:
    "Keep and print the result of one check; the output of one that failed follows."
    results[name] = bool(ok)
    line = f"{'pass' if ok else 'FAIL'}  {name}"
    if seconds: line += f"  ({seconds:.0f} s)"
    if progress: line += f"  {progress}, {clock(time.time() - STARTED)}"
    print(line, flush=True)
    if not ok: print(output[-SHOWN:], flush=True)
    return bool(ok)


def check(name: str, *command, **options) -> bool:
    "A check that is one command."
    ok, output, seconds = run(*command, **options)
    return record(name, ok, output, seconds)


def notices(output: str) -> None:
    "Print what a command wants to be noticed."
    for line in output.splitlines():
        if line.startswith("NOTICE"): print(line, flush=True)


@contextmanager
def part(name: str):
    "Count the time of a part of the checks."
    started = time.time()
    try: yield
    finally: parts[name] = parts.get(name, 0) + time.time() - started


def closing() -> int:
    "How long each part took, what failed, and the line of counts; the exit status."
    if parts:
        print("\nhow long it took")
        for name, seconds in parts.items(): print(f"  {clock(seconds):>6}  {name}")
        print(f"  {clock(time.time() - STARTED):>6}  in all")
    failed = [name for name, ok in results.items() if not ok]
    if failed: print("failed: " + "; ".join(failed))
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0
