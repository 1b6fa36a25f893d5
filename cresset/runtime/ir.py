"""LLVM IR written as text: typed values with Python operators, loops, branches.

Building the text directly is several times quicker than building IR objects, and what comes out is
what a person reads. A `Function` appends one instruction per call; a `Module` joins functions and
declares what they use. Everything is in SSA form from the start (loops carry their values), so no
optimizer has to run before code generation.

Types are LLVM's own spellings: "i64", "float", "ptr", "<8 x float>".

    >>> module = Module()
    >>> f = module.function("axpy", [("ptr", "y"), ("ptr", "x"), ("float", "a"), ("i64", "n")])
    >>> y, x, a, n = f.arguments
    >>> with f.loop(0, n) as i:
    ...     at = f.offset(y, i, "float")
    ...     f.store(f.load("float", at) + a * f.load("float", f.offset(x, i, "float")), at)
    >>> f.ret()
    >>> "fmul float" in module.text()
    True
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from functools import cache

BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128, "half": 16, "bfloat": 16,
        "float": 32, "double": 64, "ptr": 64}
FLOATS = frozenset({"half", "bfloat", "float", "double"})
PAST = "!0 = !{i32 1}"  # what marks stores past the caches
SELDOM = "noinline optnone"  # attributes of a function that is seldom run: made with little effort


@cache
def vector(type: str, lanes: int) -> str:
    """The type of `lanes` values of `type`; the scalar type itself for one lane."""
    return type if lanes == 1 else f"<{lanes} x {type}>"


@cache
def element(type: str) -> str:
    """The type of one lane."""
    return type[type.index("x ") + 2 : -1] if type[0] == "<" else type


@cache
def lanes(type: str) -> int:
    """The number of lanes of a type, 1 for a scalar."""
    return int(type[1 : type.index(" ")]) if type[0] == "<" else 1


@cache
def size(type: str) -> int:
    """Bytes that one element of the type takes in memory."""
    return max(1, BITS[element(type)] // 8)


def literal(type: str, number) -> str:
    """A constant as LLVM spells it: floats by their bits, so that no digit is lost."""
    scalar = element(type)
    if scalar in FLOATS:
        number = float(number)
        if scalar == "float":
            try:
                number = struct.unpack("<f", struct.pack("<f", number))[0]
            except OverflowError:
                number = float("inf") if number > 0 else float("-inf")
        text = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
        if scalar == "half":
            text = f"0xH{struct.unpack('<H', struct.pack('<e', number))[0]:04X}"
        if scalar == "bfloat":
            text = f"0xR{struct.unpack('<I', struct.pack('<f', number))[0] >> 16:04X}"
    elif scalar == "ptr":
        text = "null" if not number else f"inttoptr (i64 {int(number)} to ptr)"
    elif scalar == "i1":
        text = "true" if number else "false"
    else:
        bits = BITS[scalar]
        number = int(number) & ((1 << bits) - 1)
        text = str(number - (1 << bits) if number >> (bits - 1) else number)
    count = lanes(type)
    return text if count == 1 else f"splat ({scalar} {text})"


class Value:
    """One SSA value: its text, its type and the function it belongs to.

    Operators follow the type (`+` is `fadd` on floats, `add` on integers; `<` is signed or ordered)
    and take Python numbers on either side.
    """

    __slots__ = ("function", "text", "type")

    def __init__(self, function, type, text):
        self.function = function
        self.type = type
        self.text = text

    def __repr__(self):
        return f"{self.type} {self.text}"

    @property
    def is_float(self):
        return element(self.type) in FLOATS

    def _other(self, other):
        return other.text if isinstance(other, Value) else literal(self.type, other)

    def _binary(self, integer, floating, other, swap=False):
        name = floating if self.is_float else integer
        left, right = self.text, self._other(other)
        if swap:
            left, right = right, left
        return self.function.emit(self.type, f"{name} {self.type} {left}, {right}")

    def __add__(self, other):
        return self._binary("add", "fadd", other)

    __radd__ = __add__

    def __sub__(self, other):
        return self._binary("sub", "fsub", other)

    def __rsub__(self, other):
        return self._binary("sub", "fsub", other, swap=True)

    def __mul__(self, other):
        return self._binary("mul", "fmul", other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._binary("sdiv", "fdiv", other)

    def __rtruediv__(self, other):
        return self._binary("sdiv", "fdiv", other, swap=True)

    def __neg__(self):
        if self.is_float:
            return self.function.emit(self.type, f"fneg {self.type} {self.text}")
        return 0 - self

    def __and__(self, other):
        return self._binary("and", None, other)

    def __or__(self, other):
        return self._binary("or", None, other)

    def __xor__(self, other):
        return self._binary("xor", None, other)

    def __lshift__(self, other):
        return self._binary("shl", None, other)

    def __rshift__(self, other):
        """Arithmetic (sign-keeping) shift; see `lshr` for the logical one."""
        return self._binary("ashr", None, other)

    def lshr(self, other):
        return self._binary("lshr", None, other)

    def udiv(self, other):
        return self._binary("udiv", None, other)

    def urem(self, other):
        return self._binary("urem", None, other)

    def srem(self, other):
        return self._binary("srem", "frem", other)

    def _compare(self, integer, floating, other):
        name = f"fcmp {floating}" if self.is_float else f"icmp {integer}"
        text = f"{name} {self.type} {self.text}, {self._other(other)}"
        return self.function.emit(vector("i1", lanes(self.type)), text)

    def __lt__(self, other):
        return self._compare("slt", "olt", other)

    def __le__(self, other):
        return self._compare("sle", "ole", other)

    def __gt__(self, other):
        return self._compare("sgt", "ogt", other)

    def __ge__(self, other):
        return self._compare("sge", "oge", other)

    def eq(self, other):
        return self._compare("eq", "oeq", other)

    def ne(self, other):
        return self._compare("ne", "une", other)

    def ult(self, other):
        return self._compare("ult", "ult", other)

    def ule(self, other):
        return self._compare("ule", "ule", other)

    def ugt(self, other):
        return self._compare("ugt", "ugt", other)

    def uge(self, other):
        return self._compare("uge", "uge", other)

    def unordered(self, other):
        """True where either side is NaN."""
        text = f"fcmp uno {self.type} {self.text}, {self._other(other)}"
        return self.function.emit(vector("i1", lanes(self.type)), text)


class Loop:
    """A loop being written: `index`, the carried `values`, `next(...)`, then `results`."""

    def __init__(self, index, values):
        self.index = index
        self.values = values
        self.results = ()
        self.following: tuple | None = None
        self.condition: Value | None = None

    def next(self, *values):
        """State the carried values of the next turn."""
        self.following = values

    def again(self, condition, *values):
        """State whether there is a next turn, and its carried values."""
        self.condition, self.following = condition, values


class Function:
    """One function's text; its methods append instructions and return values."""

    def __init__(self, module, name, parameters, returns="void", internal=False, attributes=""):
        self.module = module
        self.name = name
        self.returns = returns
        # A parameter's type may carry attributes: "ptr noalias", "<8 x float> noundef".
        types = [type[: type.find(">") + 1] or type.split()[0] for type, _ in parameters]
        self.arguments = [
            Value(self, type, f"%{name}") for type, (_, name) in zip(types, parameters)
        ]
        spelled = ", ".join(f"{type} %{name}" for type, name in parameters)
        linkage = "internal " if internal else ""
        # Nothing unwinds: without the attribute every object would hold tables for it.
        self.head = f"define {linkage}{returns} @{name}({spelled}) nounwind {attributes}".rstrip()
        self.head += " {"
        self.stack = ["entry:"]
        self.lines: list[str] = []
        self.block = "entry"
        self.count = 0

    # --- instructions -----------------------------------------------------------------------------
    def emit(self, type, text):
        """Append `%n = text` and return its value; a void instruction where `type` is None."""
        if type is None:
            self.lines.append("  " + text)
            return None
        self.count += 1
        name = f"%v{self.count}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, type, name)

    def constant(self, type, number):
        return Value(self, type, literal(type, number))

    def value(self, type, thing):
        """`thing` as a value: a Python number becomes a constant of `type`."""
        return thing if isinstance(thing, Value) else self.constant(type, thing)

    def offset(self, pointer, index, type="i8"):
        """The address `index` elements of `type` past `pointer`."""
        index = self.value("i64", index)
        return self.emit("ptr", f"getelementptr {type}, ptr {pointer.text}, {index}")

    def load(self, type, pointer, align=None):
        """Load; unless told otherwise the address is aligned to one element only."""
        return self.emit(type, f"load {type}, ptr {pointer.text}, align {align or size(type)}")

    def store(self, value, pointer, align=None, past=False):
        """Store; `past` the caches, where it is not before the next fence that others see it."""
        if past and PAST not in self.module.globals:
            self.module.globals.append(PAST)
        address = f"ptr {pointer.text}, align {align or size(value.type)}"
        self.emit(None, f"store {value}, {address}{', !nontemporal !0' if past else ''}")

    def fence(self):
        """Everything stored before is seen by whoever sees what is stored afterwards."""
        self.emit(None, "fence seq_cst")

    def prefetch(self, pointer, write=True):
        """Have the cache line at an address, which need not exist, fetched to be written or read.
        """
        hint = [self.constant("i32", number) for number in (int(write), 3, 1)]  # near, data
        self.call("llvm.prefetch.p0", "void", pointer, *hint)

    def select(self, condition, yes, no):
        type = yes.type if isinstance(yes, Value) else no.type
        yes, no = self.value(type, yes), self.value(type, no)
        return self.emit(type, f"select {condition}, {yes}, {no}")

    def minimum(self, a, b):
        """The lesser of two signed integers."""
        b = self.value(a.type, b)
        return self.select(a < b, a, b)

    def bitcast(self, value, type):
        return self.emit(type, f"bitcast {value} to {type}")

    def convert(self, value, type, signed=True):
        """A numeric conversion to `type` of as many lanes; `signed` speaks of the integer side."""
        source, target = element(value.type), element(type)
        if source == target:
            return value
        if source == "ptr" or target == "ptr":
            name = "ptrtoint" if source == "ptr" else "inttoptr"
        elif source in FLOATS and target in FLOATS:
            name = "fpext" if BITS[target] > BITS[source] else "fptrunc"
        elif source in FLOATS:
            name = "fptosi" if signed else "fptoui"
        elif target in FLOATS:
            name = "uitofp" if source == "i1" or not signed else "sitofp"
        elif BITS[target] < BITS[source]:
            name = "trunc"
        else:
            name = "zext" if source == "i1" or not signed else "sext"
        return self.emit(type, f"{name} {value} to {type}")

    def splat(self, value, count):
        """A vector with `value` in each of `count` lanes."""
        if count == 1:
            return value
        type = vector(value.type, count)
        first = self.emit(type, f"insertelement {type} poison, {value}, i64 0")
        mask = f"<{count} x i32> zeroinitializer"
        return self.emit(type, f"shufflevector {first}, {type} poison, {mask}")

    def extract(self, value, lane):
        if lanes(value.type) == 1:
            return value
        lane = self.value("i64", lane)
        return self.emit(element(value.type), f"extractelement {value}, {lane}")

    def insert(self, value, scalar, lane):
        if lanes(value.type) == 1:
            return scalar
        return self.emit(value.type, f"insertelement {value}, {scalar}, {self.value('i64', lane)}")

    def shuffle(self, a, b, order):
        """Lanes picked by `order` (constants) from `a` then `b`; `b` may be None.

        A single one is a scalar.
        """
        if len(order) == 1 and lanes(a.type) > order[0]:
            return self.extract(a, order[0])
        type = vector(element(a.type), len(order))
        second = f"{a.type} poison" if b is None else str(b)
        mask = ", ".join(f"i32 {lane}" for lane in order)
        return self.emit(type, f"shufflevector {a}, {second}, <{len(order)} x i32> <{mask}>")

    def lane_numbers(self, type):
        """The constant vector 0, 1, 2, ... of an integer type."""
        count = lanes(type)
        if count == 1:
            return self.constant(type, 0)
        scalar = element(type)
        return Value(self, type, "<" + ", ".join(f"{scalar} {i}" for i in range(count)) + ">")

    def intrinsic(self, name, *arguments, returns=None, suffix=None):
        """Call `llvm.name`; the overload suffix follows the first argument's type."""
        type = arguments[0].type
        if suffix is None:
            short = {"float": "f32", "double": "f64", "half": "f16", "bfloat": "bf16"}
            scalar = short.get(element(type), element(type))
            suffix = "." + (scalar if lanes(type) == 1 else f"v{lanes(type)}{scalar}")
        return self.call(f"llvm.{name}{suffix}", returns or type, *arguments)

    def fma(self, a, b, c):
        return self.intrinsic("fma", a, self.value(a.type, b), self.value(a.type, c))

    def multiply_add(self, a, b, c):
        """a * b + c, in one instruction where floats have one."""
        return self.intrinsic("fmuladd", a, b, c) if a.is_float else a * b + c

    def call(self, name, returns, *arguments):
        """Call a function by name (declared where the module does not define it) or by address."""
        spelled = ", ".join(str(a) for a in arguments)
        if isinstance(name, Value):
            types = ", ".join(a.type for a in arguments)
            text = f"call {returns} ({types}) {name.text}({spelled})"
        else:
            self.module.uses(name, returns, [a.type for a in arguments])
            text = f"call {returns} @{name}({spelled})"
        return self.emit(None if returns == "void" else returns, text)

    def shared(self, name, body, *arguments):
        """Do `body(f, *arguments)` in a function of the module's own, written at its first use."""
        module = self.module
        if name not in module.functions:
            parameters = [(value.type, f"p{number}") for number, value in enumerate(arguments)]
            f = module.function(name, parameters, internal=True, attributes="noinline")
            body(f, *f.arguments)
            f.ret()
        self.call(name, "void", *arguments)

    def address(self, name):
        """The address of a datum or function by name, declared unless the module defines it."""
        self.module.declared.setdefault(name, f"@{name} = external global i8")
        return Value(self, "ptr", f"@{name}")

    def alloca(self, type, count=1, align=64):
        """Stack space of `count` elements, taken once at the function's entry."""
        self.count += 1
        name = f"%v{self.count}"
        self.stack.append(f"  {name} = alloca {type}, i64 {count}, align {align}")
        return Value(self, "ptr", name)

    def at_entry(self, write):
        """The value of `write()`, whose instructions stand at the function's entry."""
        lines, self.lines = self.lines, self.stack
        value = write()
        self.lines = lines
        return value

    def ret(self, value=None):
        self.emit(None, "ret void" if value is None else f"ret {value}")

    # --- control flow -----------------------------------------------------------------------------
    def label(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def place(self, label):
        """Start the basic block `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def branch(self, target, condition=None, otherwise=None):
        if condition is None:
            self.emit(None, f"br label %{target}")
        else:
            self.emit(None, f"br {condition}, label %{target}, label %{otherwise}")

    def phi(self, type, incoming):
        """A phi of [(value, block label)]."""
        pairs = ", ".join(f"[{value.text}, %{block}]" for value, block in incoming)
        return self.emit(type, f"phi {type} {pairs}")

    @contextmanager
    def loop(self, start, stop, step=1, carry=()):
        """for index in range(start, stop, step), `step` positive; zero turns are fine.

        Without `carry` the index itself is yielded. With it a `Loop` is: its `values` are the
        carried ones, `next(...)` must state the following ones, `results` holds the last after.
        """
        start, stop = self.value("i64", start), self.value("i64", stop)
        head, body, done = self.label("loop"), self.label("body"), self.label("done")
        before = self.block
        self.branch(head)
        self.place(head)
        mark = len(self.lines)
        self.count += 1 + len(carry)
        names = [f"%v{self.count - k}" for k in range(1 + len(carry))]
        index = Value(self, "i64", names[0])
        loop = Loop(index, [Value(self, v.type, n) for v, n in zip(carry, names[1:])])
        self.branch(body, index < stop, done)
        self.place(body)
        yield loop if carry else index
        following = index + step
        last = self.block
        self.branch(head)
        phis = [f"  {index.text} = phi i64 [{start.text}, %{before}], [{following.text}, %{last}]"]
        if carry:
            if loop.following is None or len(loop.following) != len(carry):
                raise ValueError("loop: the carried values of the next turn were not stated")
            for value, old, new in zip(loop.values, carry, loop.following):
                pairs = f"[{old.text}, %{before}], [{new.text}, %{last}]"
                phis.append(f"  {value.text} = phi {value.type} {pairs}")
        self.lines[mark:mark] = phis
        self.place(done)
        loop.results = loop.values

    @contextmanager
    def each(self, start, stop, step=1, carry=()):
        """The loop over a range that is not empty: a block less, which is quicker to compile."""
        with self.repeat(self.value("i64", start), *carry) as turns:
            index, *values = turns.values
            loop = Loop(index, values)
            yield loop if carry else index
            following = index + step
            turns.again(following < stop, following, *(loop.following or ()))
        loop.results = turns.results[1:]

    def units(self):
        """The loop of a kernel over the units that it is asked for, at least one."""
        _, begin, end = self.arguments
        return self.each(begin, end)

    @contextmanager
    def repeat(self, *carry):
        """A loop that runs at least once: the body states the next values and while what.

        A `Loop` is yielded. Its `values` are the carried ones; `again(condition, ...)` must state
        whether (i1) there is another turn and the following values; `results` holds the last ones.
        """
        head, done = self.label("repeat"), self.label("done")
        before = self.block
        self.branch(head)
        self.place(head)
        mark = len(self.lines)
        self.count += len(carry)
        names = [f"%v{self.count - k}" for k in range(len(carry))]
        loop = Loop(None, [Value(self, v.type, n) for v, n in zip(carry, names)])
        yield loop
        if loop.following is None or len(loop.following) != len(carry):
            raise ValueError("repeat: the carried values of the next turn were not stated")
        self.branch(head, loop.condition, done)
        last = self.block
        self.lines[mark:mark] = [
            f"  {value.text} = phi {value.type} [{old.text}, %{before}], [{new.text}, %{last}]"
            for value, old, new in zip(loop.values, carry, loop.following)
        ]
        self.place(done)
        loop.results = loop.following

    @contextmanager
    def when(self, condition):
        """Run the body where `condition` (i1) holds."""
        then, done = self.label("then"), self.label("done")
        self.branch(then, condition, done)
        self.place(then)
        yield
        self.branch(done)
        self.place(done)

    @contextmanager
    def leave(self, condition):
        """Run the body, which must end by returning, where `condition` (i1) holds."""
        out, on = self.label("out"), self.label("on")
        self.branch(out, condition, on)
        self.place(out)
        yield
        self.place(on)

    def either(self, condition, yes, no):
        """Branch: the values that `yes()` or `no()` return (a value or a tuple of values)."""
        then, other, done = self.label("then"), self.label("else"), self.label("done")
        self.branch(then, condition, other)
        self.place(then)
        first = yes()
        first_block = self.block
        self.branch(done)
        self.place(other)
        second = no()
        second_block = self.block
        self.branch(done)
        self.place(done)
        if first is None:
            return None
        single = isinstance(first, Value)
        if single:
            first, second = (first,), (second,)
        merged = tuple(
            self.phi(a.type, [(a, first_block), (b, second_block)]) for a, b in zip(first, second)
        )
        return merged[0] if single else merged

    def text(self):
        return "\n".join([self.head, *self.stack, *self.lines, "}"])


class Module:
    """Functions that are assembled together, and the declarations they need."""

    def __init__(self):
        self.functions: dict[str, Function] = {}
        self.declared: dict[str, str] = {}
        self.globals: list[str] = []

    def function(self, name, parameters, returns="void", internal=False, attributes=""):
        """Start a function; parameters are (type, name) pairs, as in ("ptr noalias", "out")."""
        f = Function(self, name, parameters, returns, internal, attributes)
        self.functions[name] = f
        return f

    def kernel(self, name="kernel"):
        """Start a kernel: void (ptr args, i64 begin, i64 end), the form every launch calls."""
        return self.function(name, [("ptr", "args"), ("i64", "begin"), ("i64", "end")])

    def uses(self, name, returns, types):
        if name not in self.declared:
            self.declared[name] = f"declare {returns} @{name}({', '.join(types)})"

    def text(self):
        defined = self.functions.keys() | {line[1 : line.index(" ")] for line in self.globals}
        declared = [line for name, line in self.declared.items() if name not in defined]
        bodies = [f.text() for f in self.functions.values()]
        return "\n".join(self.globals + declared + bodies) + "\n"
