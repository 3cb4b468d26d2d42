"Where a cell can be changed, and where it is left alone."
import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sites import raises, spots, without_magics  # noqa: E402


def variants(source, kind=None):
    return [m.apply(source) for m in spots(source) if kind in (None, m.kind)]


def test_each_kind_of_change():
    assert variants("x = 0") == ["x = 1"]
    assert variants("x = True") == ["x = False"]
    assert variants("x = -y") == ["x =  y"]
    assert variants("x = y[-1]") == ["x = y[-2]"]
    assert variants("x += y") == ["x -= y"]
    assert variants("x = (a)*(b)") == ["x = (a)/(b)"]
    assert variants("x = a not in b") == ["x = a in b"]
    assert variants("x = a is b") == ["x = a is not b"]
    assert variants("x = a < b <= c") == ["x = a <= b <= c", "x = a < b < c"]
    assert variants("x = a and b or c") == ["x = a or b or c", "x = a and b and c"]
    assert variants("f(x)") == ["pass"]
    assert variants("x = f(x)") == ["x = x"]
    assert variants("if a: b = c") == ["if (not (a)): b = c"]
    assert variants("x = [i for i in y if i]") == ["x = [i for i in y if (not (i))]"]


def test_bytes_and_comments_are_counted_right():
    source = 'é = "é"; x = (é  # a + b\n   + y)'
    assert variants(source) == ['é = "é"; x = (é  # a + b\n   - y)']


def test_what_is_left_alone():
    quiet = ['"a docstring of 1"', "__all__ = [1]", "import a1", "raise ValueError(1 + 1)", 'x = f"{1 + 1}"', "warnings.warn(1)",
             "x: f(1)", "@f(1)\ndef g(): pass", "def g(a: f(1)) -> f(2): pass", "draw(figsize=(1, 2))", '"a" + b']
    for source in quiet: assert [m for m in variants(source) if m not in ("pass",)] == [], source
    assert variants("for i in progress(range(n), total=3): pass") == []


def test_every_function_raises():
    source = '''#| export
class A:
    "Says what A is."
    x: int = 0

    @property
    def one(self): return 1

    def two(self):
        "Doc."
        if self.x:
            return 2

    def declared(self): ...

    def abstract(self):
        raise NotImplementedError

def items():
    "Doc."; yield 1

def outer():
    @cached
    def inner(): return 3
    return inner()
'''
    found = raises(source)
    assert [m.function for m in found] == ["A.one", "A.two", "items", "outer"]
    for mutant in found:
        changed = mutant.apply(source)
        name = mutant.function.split(".")[-1]
        node = next(n for n in ast.walk(ast.parse(changed)) if isinstance(n, ast.FunctionDef) and n.name == name)
        first = [s for s in node.body if not isinstance(s, ast.Expr)][0]
        assert ast.unparse(first) == "raise RuntimeError('mutant')"
    scope = {}
    exec(found[2].apply(source), scope)
    items = scope["items"]()                       # still a generator: it raises when asked for its first item
    try: next(items)
    except RuntimeError as error: assert str(error) == "mutant"


def test_lines_of_ipython():
    assert spots(without_magics("%matplotlib inline\nx = 1"))[0].line == 2
    assert [m.line for m in spots("%matplotlib inline\nx = 1")] == [2]
