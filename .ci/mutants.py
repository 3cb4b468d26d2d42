"""Mutation test of notebooks: each change of an export cell should make its own notebook fail.

    mutants.py nbs/core/x.ipynb              20 changes of constants, signs, comparisons, calls and conditions
    mutants.py nbs/core/x.ipynb --raise      every function and method raises at once, one after the other
    mutants.py                               over all notebooks of nbs/core; --raise --n 200: first the one, then the other

Only the cell of the notebook is changed, not the exported package: a test that calls the exported copy does not notice.
Run it from the root of a checkout.
"""
import argparse
import os
import random
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine import ROOT, Outcome, Trial, in_forks, preload, read_cells, run_notebook
from sites import Mutant, raises, spots

os.environ.update(MEDBRIDGE_QUIET="1", HF_HUB_OFFLINE="1", PYTHONWARNINGS="ignore", OMP_NUM_THREADS="1")


@dataclass
class Work:
    "A notebook and the mutants to try in it, by cell number."
    path: Path
    mutants: dict[int, list[Mutant]]

    def count(self) -> int: return sum(map(len, self.mutants.values()))


def core() -> list[Path]:
    "All notebooks of the library."
    return [p for p in sorted((ROOT/"nbs/core").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]


def candidates(paths, find) -> list[tuple[Path, int, Mutant]]:
    "Every mutant that `find` gives for the export cells of some notebooks."
    return [(path, cell.number, mutant) for path in paths for cell in read_cells(path) if cell.exported
            for mutant in find(cell.source)]


def grouped(drawn) -> list[Work]:
    "Mutants sorted by notebook and cell."
    work: dict[Path, dict[int, list]] = {}
    for path, number, mutant in drawn:
        work.setdefault(path, defaultdict(list))[number].append(mutant)
    return [Work(path, dict(cells)) for path, cells in work.items()]


def sample(n=60, seed=0, paths=None) -> list[Work]:
    "`n` functions of the core notebooks, drawn by seed, each to raise at once."
    found = candidates(core() if paths is None else paths, raises)
    return grouped(random.Random(seed).sample(found, min(n, len(found))))


def draw(paths, n: int, seed: int, every_function: bool, function="") -> list[Work]:
    "The mutants of one run."
    found = candidates(paths, raises if every_function else spots)
    if function: found = [f for f in found if function in (f[2].function, *f[2].function.split("."))]
    if not every_function: found = sorted(random.Random(seed).sample(found, min(n, len(found))), key=lambda f: (f[0], f[1], f[2].start))
    return grouped(found)


def parts(work: list[Work], n: int) -> list[Work]:
    "A single notebook in `n` parts, so that they can run side by side; several notebooks as they are."
    if len(work) != 1 or n < 2: return work
    flat = [(work[0].path, number, mutant) for number, some in work[0].mutants.items() for mutant in some]
    return [part for k in range(n) for part in grouped(flat[k::n])]


# words

def changed(source: str, mutant: Mutant) -> tuple[str, str]:
    "The line before and after."
    before, after = source.split("\n"), mutant.apply(source).split("\n")
    new = after[mutant.line - 1].strip()
    if mutant.kind == "raise": return before[mutant.line - 1].strip(), "raises at once"
    return before[mutant.line - 1].strip(), new


def describe(path: Path, trial: Trial) -> str:
    "Where a mutant is and what it changes, in three lines."
    before, after = changed(trial.cell.source, trial.mutant)
    where = f"{os.path.relpath(path, ROOT)} cell {trial.cell.number} line {trial.mutant.line}"
    return f"{where}: {trial.mutant.kind} in {trial.mutant.function or 'the cell'}\n    - {before}\n    + {after}"


def tell(path: Path, verbose: bool, trial: Trial) -> None:
    by_the_clock = trial.error.startswith("took longer")   # said, for a busy machine can be the cause
    if trial.caught and not verbose and not by_the_clock: return
    word = f"caught after {trial.seconds:.1f} s" if trial.caught else "survived"
    print(f"{word}: {describe(path, trial)}" + (f"\n    {trial.error}" if trial.caught else ""), flush=True)


def try_out(verbose: bool, work: Work) -> Outcome:
    return run_notebook(work.path, work.mutants, careful=True, told=partial(tell, work.path, verbose))


def run(work: list[Work], verbose=False, workers=1) -> bool:
    "Try all mutants, print those that survive and the closing line; whether every notebook itself ran."
    tasks = parts(work, workers)
    caught = tried = 0
    sound = True
    for done in in_forks(tasks, partial(try_out, verbose), lambda: workers, limit=6*3600):
        outcome, path = done.answer, os.path.relpath(done.task.path, ROOT)
        print(done.output, end="", flush=True)
        if outcome is None or outcome.error:
            sound = False
            print(f"{path} itself does not run:\n{outcome.error if outcome else ''}", flush=True)
        if outcome is None: continue
        ours = sum(t.caught for t in outcome.trials)
        caught, tried = caught + ours, tried + len(outcome.trials)
        print(f"{path}: caught {ours} of {len(outcome.trials)}; {outcome.seconds:.0f} s + {outcome.trial_seconds:.0f} s", flush=True)
    print(f"caught {caught} of {tried} ({100*caught/max(1, tried):.0f} %)", flush=True)
    return sound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of nbs/core")
    parser.add_argument("--raise", dest="every_function", action="store_true", help="every function and method raises at once")
    parser.add_argument("--n", type=int, help="changes drawn over all spots (default 20; with --raise none)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--function", default="", help="only in the function, method or class of this name")
    parser.add_argument("--list", action="store_true", help="print the mutants and try none")
    parser.add_argument("--verbose", action="store_true", help="print those that were caught too, with what caught them")
    parser.add_argument("-j", type=int, default=1, help="processes at a time")
    chosen = parser.parse_args()
    paths = [p.resolve() for p in chosen.notebooks] or core()
    runs = []
    if chosen.every_function: runs.append(draw(paths, 0, 0, True, chosen.function))
    if chosen.n or not chosen.every_function: runs.append(draw(paths, chosen.n or 20, chosen.seed, False, chosen.function))
    if chosen.list:
        for work in (w for some in runs for w in some):
            cells = {cell.number: cell for cell in read_cells(work.path)}
            for number, some in work.mutants.items():
                for mutant in some: print(describe(work.path, Trial(cells[number], mutant, False, "", 0)))
        return 0
    preload()
    sound = [run(work, chosen.verbose, chosen.j) for work in runs]
    return 0 if all(sound) else 1


if __name__ == "__main__": sys.exit(main())
