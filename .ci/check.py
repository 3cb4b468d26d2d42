"""Everything that must hold in every commit, with one closing line of counts.

1. notebooks are clean and exported: `nbdev_clean` and `nbdev_export` change nothing; README.md is what nbs/index.ipynb
   gives; environment.yml and settings.ini name the same dependencies;
2. every notebook of nbs/ runs: those of the batch by `medbridge reproduce check`, the tutorials in a browser, where
   there is one (CI installs it), all others as nbdev_test runs them; on the way 60 functions of the library, drawn by
   seed, raise at once, and each must make its own notebook fail;
3. beside the notebooks, in two rows of which each runs one step after the other, so that no core waits: ruff, mypy, the ratchet of style, sizes and plan, and
   the tests of these runners; the batch, twice; the wheel is built, installed into an empty environment and used there
   (wheel.py); the lines of README.md are run as printed in a fresh clone (first.py); the documentation is built, no link
   in it is broken, and axe-core finds nothing serious on ten of its pages; explorers and tutorials answer to the keyboard.

    check.py              all of it
    check.py PATH...      these notebooks only
    check.py --lint       ruff, mypy, the ratchet and the runners' tests only
    check.py --no-sample  without the functions that raise

With MEDBRIDGE_TUTORIALS=alone in the environment the tutorials run without the browser, which moves the explorers only.
"""
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from configparser import ConfigParser
from dataclasses import dataclass, replace
from pathlib import Path

import engine
import mutants
import versions
import warm
from report import BIN, ROOT, check, closing, notices, part, parts, record, run

WORKERS = max(1, min(4, os.cpu_count() or 1))
LIMIT = 1800    # seconds a notebook may take before it counts as hanging
SAMPLE = 60     # functions that raise
SEED = 0
LONG = ("batch", "compile", "bench_start", "train")   # the longest notebooks
WIDGET = "application/vnd.jupyter.widget-view+json"


# the tree

def notebooks() -> list[Path]:
    return [p for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]


def named(path: Path) -> str: return os.path.relpath(path, ROOT)


def tree() -> dict[str, str]:
    "Hash of each notebook and module."
    files = notebooks() + list((ROOT/"medbridge").rglob("*.py"))
    return {named(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def in_step() -> None:
    "Nothing changes when the notebooks are cleaned and exported."
    before = tree()
    for command in ("nbdev_clean", "nbdev_export"):
        ok, output, _ = run(BIN/command)
        if not ok:
            record("clean and export", False, output)
            return
    after = tree()
    changed = sorted(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))
    record("clean and export leave no diff", not changed, "changed: " + ", ".join(changed))


def waits(path: Path) -> bool:
    "Whether a stored output of a notebook is a widget, which shows nothing without a kernel."
    outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
    return any(WIDGET in o.get("data", {}) for o in outputs)


def stored_outputs() -> None:
    live = [named(p) for p in notebooks() if waits(p)]
    remedy = "execute again with MEDBRIDGE_STATIC=1 and MEDBRIDGE_QUIET=1: "
    record("no stored output waits for a kernel", not live, remedy + ", ".join(live))


def dependencies() -> None:
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(ROOT/"settings.ini")
    settings = parser["DEFAULT"]
    listed = set((settings["requirements"] + " " + settings["dev_requirements"]).split())
    lines = re.findall(r"^\s+- ([A-Za-z][^\s:]*[<>=][^\s]*)$", (ROOT/"environment.yml").read_text(), re.M)
    conda = {line for line in lines if not re.match(r"(python|pip)[<>=]", line)}
    wrong = sorted(listed ^ conda)
    record("environment.yml and settings.ini agree", not wrong and len(listed) > 10, f"only in one: {wrong}")
    stale = versions.said_in(ROOT/"requirements.lock").get("# from settings.ini and constraints.txt") != versions.list_hash()
    record("requirements.lock is of this settings.ini", not stale, "make lock")
    cited = re.search(r"^version: (.*)$", (ROOT/"CITATION.cff").read_text(), re.M)
    record("CITATION.cff names this version", cited is not None and cited[1] == settings["version"])


def lint() -> None:
    check("ruff", BIN/"ruff", "check", "--output-format", "concise", "medbridge", ".ci")
    check("mypy", BIN/"mypy", "--config-file", ".ci/mypy.ini", "medbridge")
    ok, output, seconds = run(sys.executable, ".ci/ratchet.py")
    if ok: print(output, end="")
    record("the ratchet: style, sizes and plan", ok, output, seconds)
    check("the runners' own tests", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".ci/tests")


# notebooks

def try_notebook(work: mutants.Work) -> engine.Outcome:
    return engine.run_notebook(work.path, work.mutants)


def longest_first(paths: list[Path]) -> list[Path]:
    "Those named in LONG in front, in its order, so that none of them is the last one at work."
    return sorted(paths, key=lambda p: LONG.index(p.stem) if p.stem in LONG else len(LONG))


def run_notebooks(paths: list[Path], sample: list[mutants.Work], beside: Callable[[], int] = lambda: 0) -> None:
    "Run each notebook in a fork, the functions of the sample raising on the way; beside: how many steps are at work."
    engine.preload()
    drawn = {work.path: work.mutants for work in sample}
    tasks = [mutants.Work(path, drawn.get(path, {})) for path in longest_first(paths)]
    trials = []

    # one more than there are cores: the browser and the batch wait for half of their time
    def free() -> int: return max(1, WORKERS + 1 - beside())

    for n, done in enumerate(engine.in_forks(tasks, try_notebook, free, limit=LIMIT), 1):
        outcome, progress = done.answer, f"{n} of {len(tasks)}"
        if outcome is None:
            record(named(done.task.path), False, done.output, done.seconds, progress)
            continue
        record(named(done.task.path), outcome.passed, done.output + outcome.error, outcome.seconds, progress)
        trials += [(done.task.path, trial, outcome.trial_seconds) for trial in outcome.trials]
    if sample: judge(trials, sum(work.count() for work in sample))


def judge(trials: list, wanted: int) -> None:
    "What became of the functions that raised."
    kept = [mutants.describe(path, trial) for path, trial, _ in trials if not trial.caught]
    seconds = sum(trial.seconds for _, trial, _ in trials)
    missing = [f"{wanted - len(trials)} were not tried"] if len(trials) < wanted else []
    name = f"{wanted} functions that raise make their own notebooks fail"
    record(name, not kept and not missing, "\n".join(["not noticed:", *kept, *missing]), seconds)


# beside the notebooks

@dataclass
class Step:
    "A command that runs beside the notebooks, and what its output says."
    part: str
    command: tuple
    judge: Callable[[bool, str, float], object]
    again: bool = False   # whether it gets a second try, for a machine may be busy for a moment
    warm: bool = False    # whether its kernels are forks of a process that has imported torch


class Beside:
    "Steps that run one after the other, on a core of their own; `busy` has to be asked again and again."
    def __init__(self, steps: list[Step], warm: dict[str, str]): # the environment of steps that are warm
        self.waiting, self.step, self.warm = list(steps), None, warm

    def busy(self) -> bool:
        "Whether a step is at work; one that has ended is judged, and the next is started."
        if self.step is not None:
            if self.process.poll() is None: return True
            self.finish()
        if not self.waiting: return False
        self.start()
        return True

    def start(self) -> None:
        self.step, self.log, self.started = self.waiting.pop(0), tempfile.TemporaryFile("w+"), time.time()
        environment = self.warm if self.step.warm else None
        self.process = subprocess.Popen([str(c) for c in self.step.command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, env=environment)

    def finish(self) -> None:
        self.log.seek(0)
        took, step = time.time() - self.started, self.step
        self.step = None
        name = f"{step.part}, beside the notebooks"
        parts[name] = parts.get(name, 0) + took
        ok, output = self.process.returncode == 0, self.log.read()
        if not ok and step.again:
            print(f"{step.part}: failed once and is tried again:\n{output[-1500:]}", flush=True)
            self.waiting.insert(0, replace(step, again=False))
        else: step.judge(ok, output, took)


def own_checks(name: str) -> Callable:
    "The checks that a script of ours prints count as ours."
    def judge(ok: bool, output: str, seconds: float) -> None:
        found = re.findall(r"^(pass|FAIL)  (.+?)(?:  \((\d+) s\))?$", output, re.M)
        said = [line for line in output.splitlines() if line and not re.match(r"pass  |FAIL  |\d+ passed, ", line)]
        if ok: print("\n".join(said), flush=True)
        for word, check_name, took in found: record(check_name, word == "pass", output, float(took or 0))
        record(f"{name} ran to its end", bool(found) and " passed, " in output, output)
    return judge


def documented(ok: bool, output: str, seconds: float) -> None:
    record("the documentation is built, no link is broken", ok and "links checked" in output, output, seconds)


def accessible(ok: bool, output: str, seconds: float) -> None:
    notices(output)
    there = "NOTICE" in output or " passed, 0 failed" in output
    record("the documentation is accessible, searchable from the disk and fits a phone", ok and there, output, seconds)


def batch_ran(ok: bool, output: str, seconds: float) -> None:
    record("experiments: medbridge reproduce check", ok, output, seconds)


def batch_unchanged(ok: bool, output: str, seconds: float) -> None:
    record("a second batch finds everything unchanged", ok and "0 of" in output, output, seconds)


def has_browser() -> bool:
    "Whether .ci/browser.py will find what it needs; CI installs Chromium here."
    import lab
    return importlib.util.find_spec("playwright") is not None and lab.find_browser() is not None


def in_the_browser(tutorials: list[Path]) -> Step:
    "Explorers and tutorials, driven by hand."
    def judge(ok: bool, output: str, seconds: float) -> None:
        notices(output)
        ran = set(re.findall(r"^pass  JupyterLab: (\S+) runs from first to last cell", output, re.M))
        lost = sorted({p.name for p in tutorials} - ran)
        name = f"explorers{' and tutorials' if tutorials else ''} answer in JupyterLab and Voila"
        record(name, ok and not lost, output + "".join(f"\n{n} did not run" for n in lost), seconds)
    options = () if tutorials else ("--without-tutorials",)
    name = f"explorers and {len(tutorials)} tutorials in the browser"
    return Step(name, (sys.executable, ".ci/browser.py", *options), judge, again=True, warm=True)


def steps(figures: Path, experiments: int) -> list[Step]:
    "What runs beside the notebooks with or without a browser; what fails most often comes first."
    python = sys.executable
    batch = (python, "-m", "medbridge", "reproduce", "check", "--figures", figures, "--workers", max(1, WORKERS - 1))
    return [Step("ruff, mypy, ratchet, the runners' tests", (python, ".ci/check.py", "--lint"), own_checks("lint")),
            Step(f"{experiments} experiments", batch, batch_ran, warm=True),
            Step("the experiments again", batch, batch_unchanged),
            Step("the wheel", (python, ".ci/wheel.py"), own_checks("the wheel")),
            Step("lines of README.md", (python, ".ci/first.py"), own_checks("lines of README.md")),
            Step("documentation", (python, ".ci/docs.py"), documented),
            Step("accessibility of the documentation", (python, ".ci/accessible.py"), accessible)]


def everything(with_sample: bool) -> None:
    with part("clean, export, README, dependencies"):
        in_step()
        stored_outputs()
        dependencies()
        check("README.md is what nbs/index.ipynb gives", sys.executable, ".ci/readme.py", "--check")
    every = notebooks()
    in_batch = batch_notebooks(every)
    there = has_browser()
    by_browser = there and os.environ.get("MEDBRIDGE_TUTORIALS") != "alone"
    tutorials = [p for p in every if p.parent.name == "tutorials"] if by_browser else []
    alone = [p for p in every if p not in in_batch and p not in tutorials]
    if not there: print("NOTICE  no browser: explorers are not moved by hand, and the tutorials run without one "
                        "(apt install chromium; pip install playwright)", flush=True)
    with tempfile.TemporaryDirectory() as folder, warm.kernels() as environment:
        in_browser = [in_the_browser(tutorials)] if there else []
        rows = [Beside(row, environment) for row in (steps(Path(folder)/"figures", len(in_batch)), in_browser)]
        def beside() -> int: return sum(row.busy() for row in rows)
        beside()
        sample = mutants.sample(SAMPLE, SEED) if with_sample else []
        with part(f"{len(alone)} notebooks" + (f", {SAMPLE} functions that raise" if sample else "")):
            run_notebooks(alone, sample, beside)
        with part("what was left beside the notebooks"):
            while beside(): time.sleep(0.1)
    print(f"{len(alone)} notebooks ran alone, {len(tutorials)} in a browser and {len(in_batch)} in the batch, none skipped")


def batch_notebooks(every: list[Path]) -> list[Path]:
    "The experiments that the smallest preset runs."
    code = ("from medbridge.reproduction import jobs, presets; "
            "print(*{j.notebook for j in jobs.jobs(presets.preset('check'))})")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    found = [p for p in every if p.parent.name == "experiments" and p.stem in names]
    assert len(found) == len(names), "a notebook of the batch is missing"
    return found


def main() -> int:
    options = {a for a in sys.argv[1:] if a.startswith("--")}
    paths = [Path(p).resolve() for p in sys.argv[1:] if not p.startswith("--")]
    if "--lint" in options: lint()
    elif paths: run_notebooks(paths, [])
    else: everything("--no-sample" not in options)
    return closing()


if __name__ == "__main__": sys.exit(main())
