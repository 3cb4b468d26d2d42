"Mutants of a toy notebook: what is caught, and that no child leaves a trace."
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import engine  # noqa: E402
from sites import raises, spots  # noqa: E402

SHARED = '''import tempfile
from pathlib import Path
folder = Path(tempfile.mkdtemp())
(folder/"kept").write_text("kept")'''
LIBRARY = '''#| export
def double(x):
    "Twice a number."
    return x*2

def unused(x):
    return x + 1'''
TEST = '''(folder/"new").mkdir()
(folder/"kept").write_text("changed")
assert double(3) == 6'''
ELSEWHERE = '''#| export
def write():
    with open(OUTSIDE, "a") as file: file.write("x" if True else "y")
try: write()
except PermissionError: refused = True'''


@pytest.fixture
def notebook(tmp_path):
    def write(*sources):
        cells = [dict(cell_type="code", id=f"c{i}", metadata={}, execution_count=None, outputs=[], source=s)
                 for i, s in enumerate(sources)]
        path = tmp_path/"toy.ipynb"
        path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
        return path
    return write


def in_a_fork(path, find):
    mutants = {c.number: find(c.source) for c in engine.read_cells(path) if c.exported}
    done = next(engine.in_forks([path], lambda p: engine.run_notebook(p, mutants, careful=True), lambda: 1))
    assert done.answer is not None, done.output
    return done.answer


def test_caught_and_survived(notebook):
    outcome = in_a_fork(notebook(SHARED, LIBRARY, TEST), raises)
    assert outcome.passed, outcome.error             # the children before changed the folder; it was put back
    assert [t.caught for t in outcome.trials] == [True, False]
    assert outcome.trials[0].error == "cell 3: RuntimeError: mutant"


def test_a_notebook_that_fails_by_itself(notebook):
    outcome = in_a_fork(notebook("assert False, 'by itself'"), raises)
    assert not outcome.passed and "by itself" in outcome.error


def test_cells_that_do_not_run(notebook):
    path = notebook("#| eval: false\nassert False", "#| slow\nassert False", "x = 1")
    assert [c.number for c in engine.read_cells(path)] == [3]
    assert in_a_fork(path, spots).passed


def test_a_child_writes_nowhere_else(notebook, tmp_path):
    outside = tmp_path/"outside"
    path = notebook(f"from pathlib import Path\nOUTSIDE = {str(outside)!r}", ELSEWHERE, "")
    outcome = in_a_fork(path, spots)
    assert outcome.passed and len(outcome.trials) > 2 and not any(t.caught for t in outcome.trials)
    assert outside.read_text() == "x"                # by the plain run alone, after all children
