"""Where the source of a cell can be changed by one spot: the mutants of a mutation test.

`spots` finds constants, signs, comparisons, `and`/`or`, dropped calls and conditions; `raises` finds every function.
Strings, annotations, decorators, `raise` statements and what only concerns looks or progress are left alone.
"""
import ast
import re
from dataclasses import dataclass

QUIET = {"warn", "warning", "info", "debug", "print", "simplefilter", "filterwarnings", "InputError", "did_you_mean"}
LOOKS = {"repr", "remedy", "stacklevel", "figsize", "dpi", "fontsize", "linewidth", "lw", "zorder", "labelpad"}
COMPARISONS = {ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
               ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: (r"not\s+in", "in"), ast.Is: ("is", "is not"),
               ast.IsNot: (r"is\s+not", "is")}
SIGNS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
RAISE = 'raise RuntimeError("mutant")'


@dataclass(frozen=True)
class Mutant:
    "One change: the bytes `start` to `end` of a cell's source become `text`."
    kind: str
    function: str   # qualified name of the function or class around it; "" at the top of a cell
    line: int       # of the cell, from 1
    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        "The source with this change."
        raw = source.encode()
        return (raw[:self.start] + self.text.encode() + raw[self.end:]).decode()


def without_magics(source: str) -> str:
    "Lines of IPython replaced by as many bytes of comment, so that the rest can be parsed."
    lines = source.split("\n")
    return "\n".join("#" * len(line.encode()) if line.startswith(("%", "!")) else line for line in lines)


class Spots(ast.NodeVisitor):
    "Collects the mutants of one cell."

    def __init__(self, source: str):
        self.raw = source.encode()
        lines = source.encode().split(b"\n")
        self.starts = [0]
        for line in lines: self.starts.append(self.starts[-1] + len(line) + 1)
        self.names: list[str] = []
        self.found: list[Mutant] = []

    # positions
    def begin(self, node) -> int: return self.starts[node.lineno - 1] + node.col_offset

    def finish(self, node) -> int: return self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, kind, start, end, text):
        line = self.raw[:start].count(b"\n") + 1
        self.found.append(Mutant(kind, ".".join(self.names), line, start, end, text))

    def between(self, kind, left, right, pattern, text):
        "Replace the operator that stands between two nodes, brackets and comments around it left alone."
        start = left if isinstance(left, int) else self.finish(left)
        gap = self.raw[start:self.begin(right)].decode("latin-1")
        blanked = re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), gap)
        match = re.search(pattern, blanked)
        if match: self.add(kind, start + match.start(), start + match.end(), text)

    # what is left alone
    def visit_Raise(self, node): pass

    def visit_JoinedStr(self, node): pass

    def visit_Import(self, node): pass

    visit_ImportFrom = visit_Import

    def visit_arg(self, node): pass

    def visit_keyword(self, node):
        if node.arg not in LOOKS: self.visit(node.value)

    def visit_body(self, body):
        for statement in body: self.visit(statement)

    def visit_FunctionDef(self, node):
        self.names.append(node.name)
        self.visit(node.args)
        self.visit_body(node.body)
        self.names.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        self.names.append(node.name)
        self.visit_body(node.body)
        self.names.pop()

    def visit_AnnAssign(self, node):
        if node.value is not None:
            self.visit_value(node.value)
            self.visit(node.value)

    def visit_Assign(self, node):
        if any(isinstance(t, ast.Name) and t.id.startswith("__") for t in node.targets): return
        for target in node.targets: self.visit(target)
        self.visit_value(node.value)
        self.visit(node.value)

    # the changes
    def visit_value(self, value):
        "`x = f(y)` becomes `x = y`."
        if not isinstance(value, ast.Call) or called(value) in QUIET or not value.args: return
        first = value.args[0]
        if isinstance(first, ast.Name): self.add("dropped call", self.begin(value), self.finish(value), first.id)

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Constant): return
        if isinstance(node.value, ast.Call):
            if called(node.value) in QUIET: return
            self.add("dropped call", self.begin(node), self.finish(node), "pass")
        self.visit(node.value)

    def visit_Call(self, node):
        if called(node) in QUIET: return
        if called(node) == "progress": return self.visit(node.args[0])
        self.generic_visit(node)

    def visit_Constant(self, node):
        if not isinstance(node.value, (bool, int, float)): return
        text = repr(not node.value if isinstance(node.value, bool) else node.value + 1)
        self.add("constant", self.begin(node), self.finish(node), text)

    def visit_UnaryOp(self, node):
        axis = isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int)   # -1 and 1 are often one axis
        if isinstance(node.op, (ast.USub, ast.Invert)) and not axis:
            self.add("sign", self.begin(node), self.begin(node) + 1, " ")
        self.visit(node.operand)

    def sign(self, node, left, right, suffix=""):
        if type(node.op) not in SIGNS or texts(left) or texts(right): return
        old, new = SIGNS[type(node.op)]
        self.between("sign", left, right, re.escape(old + suffix), new + suffix)

    def visit_BinOp(self, node):
        self.sign(node, node.left, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        self.sign(node, node.target, node.value, "=")
        self.generic_visit(node)

    def visit_Compare(self, node):
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:]):
            pattern, text = COMPARISONS[type(op)]
            self.between("comparison", left, right, pattern, text)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]): self.between("and/or", left, right, old, new)
        self.generic_visit(node)

    def negate(self, test):
        start, end = self.begin(test), self.finish(test)
        self.add("condition", start, end, f"(not ({self.raw[start:end].decode()}))")

    def visit_If(self, node):
        if "TYPE_CHECKING" in ast.unparse(node.test) or "__name__" in ast.unparse(node.test): return
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node):
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node):
        for test in node.ifs: self.negate(test)
        self.generic_visit(node)


def called(node: ast.Call) -> str:
    "The last part of the name of what is called."
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def texts(node) -> bool:
    "Whether an operand is a string or a list as written, where another sign could only be a type error."
    if isinstance(node, ast.Constant): return isinstance(node.value, (str, bytes))
    return isinstance(node, (ast.JoinedStr, ast.List, ast.Tuple))


def parse(source: str) -> ast.Module | None:
    "The syntax tree, or None where a cell is not plain Python."
    try: return ast.parse(without_magics(source))
    except SyntaxError: return None


def spots(source: str) -> list[Mutant]:
    "All changes of constants, signs, comparisons, connectives, calls and conditions in a cell."
    tree = parse(source)
    if tree is None: return []
    visitor = Spots(source)
    visitor.visit_body(tree.body)
    return sorted(set(visitor.found), key=lambda m: (m.start, m.end, m.text))


def functions(body, names=()):
    "(qualified name, node) of the functions and methods of a body; those inside functions are left out."
    for node in body:
        if isinstance(node, FUNCTIONS): yield ".".join([*names, node.name]), node
        elif isinstance(node, ast.ClassDef): yield from functions(node.body, [*names, node.name])
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            if "TYPE_CHECKING" in ast.unparse(node): continue
            yield from functions(node.body + getattr(node, "orelse", []), names)


def is_docstring(statement) -> bool:
    "Whether a statement is a string alone, or the `...` of a function that is only declared."
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def abstract(node) -> bool:
    "Whether a function is only declared."
    if any("overload" in ast.unparse(d) for d in node.decorator_list): return True
    rest = [s for s in node.body if not is_docstring(s)]
    if not rest: return True
    return len(rest) == 1 and isinstance(rest[0], ast.Raise) and "NotImplementedError" in ast.unparse(rest[0])


def raises(source: str) -> list[Mutant]:
    "For every function and method of a cell, the change that makes its first statement raise."
    tree = parse(source)
    if tree is None: return []
    visitor = Spots(source)
    found = []
    for name, node in functions(tree.body):
        if abstract(node): continue
        has_doc = is_docstring(node.body[0]) and len(node.body) > 1
        first = node.body[1 if has_doc else 0]
        line = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))])
        begin = visitor.starts[line - 1]
        row = visitor.raw[begin:].split(b"\n")[0].decode()
        indent = row[:len(row) - len(row.lstrip())]
        own_line = line != first.lineno or not visitor.raw[begin:visitor.begin(first)].strip()
        start = begin + len(indent) if own_line else visitor.begin(first)
        text = f"{RAISE}\n{indent}" if own_line else f"{RAISE}; "
        found.append(Mutant("raise", name, node.lineno, start, start, text))
    return found
