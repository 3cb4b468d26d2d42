"One notebook, as it is worked on: exported, run as `make test` runs it, cleaned. nb.py nbs/core/.../x.ipynb"
import os
import sys
import time
from pathlib import Path

from report import ROOT


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file(): sys.exit("nb.py nbs/core/.../x.ipynb: name one notebook")
    path = Path(sys.argv[1]).resolve()
    os.chdir(ROOT)
    from nbdev.clean import nbdev_clean
    from nbdev.doclinks import nbdev_export
    started = time.time()
    nbdev_clean(fname=str(path))
    nbdev_export(path=str(path))
    exported = time.time() - started
    import engine
    outcome = engine.run_notebook(path)
    if outcome.error: print(outcome.error, file=sys.stderr)
    word = "pass" if outcome.passed else "FAIL"
    print(f"{word}  {os.path.relpath(path, ROOT)}  ({exported:.1f} s to clean and export, {outcome.seconds:.1f} s to run)")
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)   # threads that a notebook left running are not waited for
