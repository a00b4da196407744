"""The drivers in Python and C run the accelerator; what they do, and what they notice."""

import ctypes
import importlib.util
import shutil
import struct
import subprocess
import sys
from ctypes import CFUNCTYPE, POINTER, byref, c_int, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path

import pytest
import qosnets_hw
from accelerators import OPS_SHA256, Bench, BusError, address_map, build, small_config
from qosnets_hw.defaults import Isolation
from qosnets_hw.registers.documents import register_documents
from qosnets_hw.registers.parameters import RegisterParameters
from qosnets_hw.registers.register_map import read_register_map

DRIVERS = Path(qosnets_hw.__file__).parent / "drivers"
CONFIG = small_config()
MAP = read_register_map(address_map(CONFIG))


def load_python_driver():
    """Import the file the way a user does, from anywhere."""
    spec = importlib.util.spec_from_file_location(
        "qosnets_driver", DRIVERS / "python" / "qosnets_driver.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


qosnets_driver = load_python_driver()
AcceleratorError = qosnets_driver.AcceleratorError


def compile_c(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Compile the driver with the header of ``CONFIG``."""
    for name in ("qosnets.c", "qosnets.h"):
        shutil.copy(DRIVERS / "c" / name, folder)
    header = register_documents(address_map(CONFIG))["qosnets_registers.h"]
    (folder / "qosnets_registers.h").write_bytes(header)
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *options, "qosnets.c"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


class Layer(ctypes.Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("k_tiles", "n_tiles", "base")),
        *((name, c_uint8) for name in ("last_rows", "clamp_low", "clamp_high")),
        ("depthwise", ctypes.c_bool),
    )


class Job(ctypes.Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("layer", "positions", "tile_offset")),
        ("last", ctypes.c_bool),
    )


class Parameter(ctypes.Structure):
    _fields_ = (
        *((name, c_uint8) for name in ("point", "column", "shift", "weight_zero_point")),
        ("tile", c_uint32),
        ("bias", ctypes.c_int32),
        ("mult", ctypes.c_int16),
        ("offset", ctypes.c_int16),
    )


class Counters(ctypes.Structure):
    _fields_ = tuple(
        (name, c_uint64)
        for name in ("cycles", "stall_activations", "stall_weights", "stall_results")
    )


READ = CFUNCTYPE(c_int, c_void_p, c_uint32, POINTER(c_uint32))
WRITE = CFUNCTYPE(c_int, c_void_p, c_uint32, c_uint32)
SIZES = ("rows", "cols", "n_multipliers", "n_points")
SIZES += ("n_layers", "n_tiles", "psum_depth", "k_max", "max_k_tiles", "depthwise_lanes")


class Access(ctypes.Structure):
    _fields_ = (("read32", READ), ("write32", WRITE), ("context", c_void_p))


class Device(ctypes.Structure):
    _fields_ = (
        ("base", c_void_p),
        ("access", Access),
        *((name, c_uint32) for name in SIZES),
    )


RESULTS = "OK BUS_ERROR NOT_FOUND WRONG_VERSION WRONG_DESIGN BAD_ARGUMENT QUEUE_FULL TIMEOUT FAULT"
RESULTS = (*RESULTS.split(), "SELF_TEST_FAILED")


class CAccelerator:
    """The C driver with the methods of the Python driver."""

    def __init__(self, bus, library, memory=None):
        self._bus, self._library, self._device = bus, library, Device()
        self._access = Access(READ(self._read), WRITE(self._write))  # as long as the device
        if memory is None:
            self._call("probe_access", byref(self._access))
        else:
            self._call("probe_mmio", memory)
        for name in SIZES:
            setattr(self, name, getattr(self._device, name))

    def _read(self, context, offset, value):
        try:
            value[0] = self._bus.read32(offset)
        except BusError:
            return -1
        return 0

    def _write(self, context, offset, value):
        try:
            self._bus.write32(offset, value)
        except BusError:
            return -1
        return 0

    def _check(self, result):
        name = RESULTS[result]
        if name == "BAD_ARGUMENT":
            raise ValueError(name)
        if name != "OK":
            kind = qosnets_driver.QueueFullError if name == "QUEUE_FULL" else AcceleratorError
            raise kind(name)

    def _call(self, name, *arguments):
        self._check(getattr(self._library, f"qosnets_{name}")(byref(self._device), *arguments))

    def _get(self, name, n):
        values = [c_uint32() for _ in range(n)]
        self._call(name, *map(byref, values))
        return [value.value for value in values]

    def load_layer(self, index, layer):
        self._call("load_layer", index, byref(Layer(**vars(layer))))

    def start_job(self, job):
        self._call("start_job", byref(Job(**vars(job))))

    def pack_parameter(self, parameter):
        record = (c_uint8 * 16)()
        self._call("pack_parameter", byref(Parameter(**vars(parameter))), record)
        return bytes(record)

    def wait_inference(self, max_polls=1000):
        self._call("wait_inference", max_polls)

    def request_point(self, point):
        self._call("request_point", point)

    def wait_point(self, point, max_polls=1000):
        self._call("wait_point", point, max_polls)

    @property
    def points(self):
        return qosnets_driver.Points(*self._get("read_points", 3))

    @property
    def errors(self):
        return qosnets_driver.Errors(*self._get("read_errors", 1))

    def clear_errors(self, errors=~0 & 0xFFFF_FFFF):
        self._call("clear_errors", errors)

    def begin_recovery(self):
        self._call("begin_recovery")

    def end_recovery(self):
        self._call("end_recovery")

    def enable_interrupts(self, interrupts):
        self._call("enable_interrupts", interrupts)

    def acknowledge(self):
        return qosnets_driver.Interrupts(*self._get("acknowledge", 1))

    def start_counters(self):
        self._call("start_counters")

    def stop_counters(self):
        counters = Counters()
        self._call("stop_counters", byref(counters))
        return qosnets_driver.Counters(*(getattr(counters, name) for name, _ in Counters._fields_))

    def self_test(self, max_polls=100):
        self._call("self_test", max_polls)

    def test_refusals(self):
        """Part of the self-test in C."""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    result = compile_c(folder, "-shared", "-fPIC", "-o", "driver.so")
    assert (result.returncode, result.stderr) == (0, "")
    return ctypes.CDLL(str(folder / "driver.so"))


@pytest.fixture(params=["python", "c"])
def probe(request):
    if request.param == "python":
        return lambda bus: qosnets_driver.Accelerator(bus, ops_sha256=OPS_SHA256)
    library = request.getfixturevalue("library")
    return lambda bus: CAccelerator(bus, library)


class Traced:
    """A bus that counts accesses and may be defective."""

    def __init__(self, bench, defect=lambda bus, offset, value: value):
        self.bench, self._defect, self.accesses, self.written = bench, defect, 0, {}

    def read32(self, offset):
        self.accesses += 1
        value = self.bench.read32(offset)
        return self._defect(self, NAMES[offset], value)

    def write32(self, offset, value):
        self.accesses += 1
        self.written[NAMES.get(offset)] = value
        self.bench.write32(offset, value)


NAMES = {register.offset: register.name for register in MAP.registers}


@pytest.fixture(scope="module")
def simulation():
    return Bench(build(CONFIG)[0])


@pytest.fixture
def bench(simulation):
    simulation.restart()
    return simulation


@pytest.fixture
def accelerator(bench, probe):
    return probe(Traced(bench))


def feed(bench, positions, last_at=None):
    last = positions - 1 if last_at is None else last_at
    bench.sources["weights"].beats.append((0x0201, 1))
    bench.sources["activations"].beats.extend((c, c == last) for c in range(positions))
    return [(2 + c) << 8 | (1 + c) for c in range(positions)]


PLAIN = {"n_tiles": 1, "base": 0, "last_rows": 1, "clamp_low": 0, "clamp_high": 255}
LAYER = qosnets_driver.Layer(k_tiles=1, **PLAIN)


def words(bench):
    return [beat[0] for beat in bench.results.beats]


def test_probing(accelerator):
    for name in SIZES:
        assert getattr(accelerator, name) == getattr(CONFIG, name), name


def test_self_test(accelerator, bench):
    registers = [r for r in MAP.registers if r.readable and r.name != "SWITCHES"]
    before = {register.name: bench.read32(register.offset) for register in registers}
    accelerator.self_test()
    accelerator.test_refusals()
    assert {r.name: bench.read32(r.offset) for r in registers} == before


def test_inference(accelerator, bench):
    accelerator.load_layer(1, LAYER)
    accelerator.enable_interrupts(qosnets_driver.Interrupts.INFERENCE_DONE)
    accelerator.start_counters()
    expected = feed(bench, 4)
    accelerator.start_job(qosnets_driver.Job(layer=1, positions=4, tile_offset=8, last=True))
    accelerator.wait_inference()
    assert words(bench) == expected
    assert accelerator.stop_counters().cycles == 9
    assert accelerator.acknowledge() == 0
    with pytest.raises(AcceleratorError):
        accelerator.wait_inference(max_polls=5)


def test_several_jobs_until_the_queue_is_full(accelerator, bench):
    accelerator.load_layer(0, LAYER)
    job = qosnets_driver.Job(layer=0, positions=2, last=False)
    started = 0
    with pytest.raises(qosnets_driver.QueueFullError):
        while started < 20:
            accelerator.start_job(job)
            started += 1
    assert started == 5  # one runs, four wait
    for _ in range(started):
        feed(bench, 2)
    bench.wait_until(lambda: len(bench.results.beats) == 2 * started)
    feed(bench, 2)
    accelerator.start_job(qosnets_driver.Job(layer=0, positions=2, last=True))
    accelerator.wait_inference()


def test_points(accelerator, bench):
    for point in (1, 2, 0):
        accelerator.request_point(point)
        accelerator.wait_point(point)
        assert accelerator.points.active == accelerator.points.pending == point
        assert qosnets_driver.Interrupts.POINT_SWITCHED in accelerator.acknowledge()
    with pytest.raises(AcceleratorError):
        accelerator.wait_point(2, max_polls=5)


OUT_OF_RANGE = {
    "operating point": lambda a: a.request_point(3),
    "layer": lambda a: a.load_layer(2, LAYER),
    "row tiles": lambda a: a.load_layer(0, qosnets_driver.Layer(k_tiles=8, **PLAIN)),
    "column tiles": lambda a: a.load_layer(
        0, qosnets_driver.Layer(k_tiles=1, **PLAIN | {"n_tiles": 10})
    ),
    "base": lambda a: a.load_layer(0, qosnets_driver.Layer(k_tiles=1, **PLAIN | {"base": 9})),
    "rows": lambda a: a.load_layer(0, qosnets_driver.Layer(k_tiles=1, **PLAIN | {"last_rows": 4})),
    "depthwise": lambda a: a.load_layer(0, qosnets_driver.Layer(k_tiles=1, **PLAIN, depthwise=1)),
    "job of no layer": lambda a: a.start_job(qosnets_driver.Job(layer=2, positions=1, last=True)),
    "no positions": lambda a: a.start_job(qosnets_driver.Job(layer=0, positions=0, last=True)),
    "positions": lambda a: a.start_job(qosnets_driver.Job(layer=0, positions=17, last=True)),
    "tile offset": lambda a: a.start_job(
        qosnets_driver.Job(layer=0, positions=1, tile_offset=9, last=True)
    ),
    "interrupts": lambda a: a.enable_interrupts(8),
    "shift 0": lambda a: a.pack_parameter(parameter(shift=0)),
    "shift 48": lambda a: a.pack_parameter(parameter(shift=48)),
    "parameters of a point": lambda a: a.pack_parameter(parameter(point=3)),
    "parameters of a column": lambda a: a.pack_parameter(parameter(column=2)),
    "parameters of a tile": lambda a: a.pack_parameter(parameter(tile=9)),
}


def parameter(**changes):
    plain = {"point": 2, "tile": 8, "column": 1, "bias": -5, "mult": -(1 << 15), "shift": 47}
    plain |= {"offset": -3, "weight_zero_point": 255}
    return qosnets_driver.Parameter(**plain | changes)


@pytest.mark.parametrize("call", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_values_out_of_range_do_not_reach_the_bus(bench, probe, call):
    bus = Traced(bench)
    accelerator = probe(bus)
    before = bus.accesses
    with pytest.raises(ValueError):
        call(accelerator)
    assert bus.accesses == before


@pytest.mark.parametrize("change", [{}, {"bias": (1 << 31) - 1, "mult": 1 << 14, "shift": 1}])
def test_parameters_reach_the_bank(accelerator, bench, change):
    values, seen = parameter(**change), []
    writes = bench.dut._array.parameter_writes

    def watch(ctx):
        if ctx.get(writes.valid) and ctx.get(writes.ready):
            seen.append(ctx.get(writes.payload))

    bench.watchers.append(watch)
    record = accelerator.pack_parameter(values)
    bench.sources["parameters"].beats.append((int.from_bytes(record, "little"), 0))
    bench.wait(4)
    (payload,) = seen
    for name in ("point", "tile", "column"):
        assert payload[name] == getattr(values, name)
    for name in ("bias", "mult", "shift", "offset", "weight_zero_point"):
        assert payload.word[name] == getattr(values, name)
    assert accelerator.errors == 0


def test_faults_and_recovery(accelerator, bench):
    accelerator.load_layer(0, LAYER)
    feed(bench, 4, last_at=1)
    accelerator.start_job(qosnets_driver.Job(layer=0, positions=4, last=True))
    with pytest.raises(AcceleratorError):
        accelerator.wait_inference()
    assert accelerator.errors == qosnets_driver.Errors.STREAM_SHORT
    accelerator.begin_recovery()
    with pytest.raises(qosnets_driver.QueueFullError):
        accelerator.start_job(qosnets_driver.Job(layer=0, positions=4, last=True))
    bench.wait_until(lambda: not any(source.beats for source in bench.sources.values()))
    accelerator.end_recovery()
    assert accelerator.errors == 0 and accelerator.acknowledge() == 0
    bench.results.beats.clear()
    expected = feed(bench, 3)
    accelerator.start_job(qosnets_driver.Job(layer=0, positions=3, last=True))
    accelerator.wait_inference()
    assert words(bench) == expected


def test_errors_are_cleared_one_by_one(accelerator, bench):
    bench.sources["parameters"].beats.append((0, 0))
    with pytest.raises(BusError):
        bench.write32(MAP.by_name["JOB_LAYER"].offset, 9)
    errors = qosnets_driver.Errors
    assert accelerator.errors == errors.WRONG_JOB | errors.WRONG_TABLE_WRITE
    accelerator.clear_errors(errors.WRONG_JOB)
    assert accelerator.errors == errors.WRONG_TABLE_WRITE
    assert accelerator.acknowledge() == qosnets_driver.Interrupts.ERROR
    accelerator.clear_errors()
    assert accelerator.errors == 0
    assert accelerator.acknowledge() == 0


def replace(register, change):
    return lambda bus, name, value: change(bus, value) if name == register else value


FOREIGN = {
    "nothing there": lambda bus, name, value: 0,
    "another device": replace("ID", lambda bus, value: value ^ 1),
    "another version": replace("VERSION", lambda bus, value: value + (1 << 16)),
    "another design": replace("OPS_HASH_7", lambda bus, value: value ^ 1 << 31),
}


@pytest.mark.parametrize("defect", FOREIGN.values(), ids=FOREIGN)
def test_another_accelerator_is_refused(bench, probe, defect):
    with pytest.raises(AcceleratorError):
        probe(Traced(bench, defect))


DEFECTS = {
    "stuck bit of a setting": replace("POINT_HOLD", lambda bus, value: value | 1 << 13),
    "swapped bytes": replace(
        "POINT_HOLD", lambda bus, value: int.from_bytes(struct.pack("<I", value), "big")
    ),
    "point that is never active": replace("POINT_STATUS", lambda bus, value: value & ~0xFF),
    "switches not counted": replace("SWITCHES", lambda bus, value: 0),
    "no event for a switch": replace("INTERRUPT_PENDING", lambda bus, value: value & ~2),
    "event that stays": replace("INTERRUPT_PENDING", lambda bus, value: value | 1),
    "soft reset that falls back": replace("CONTROL", lambda bus, value: value & ~4),
    "queue open during soft reset": replace("JOB_QUEUE", lambda bus, value: 4),
    "queue closed for ever": replace("JOB_QUEUE", lambda bus, value: 1 << 8),
    "fault that stays": replace("STATUS", lambda bus, value: value | 4),
    "error that stays": replace("STATUS", lambda bus, value: value | 1 << 9),
    "busy for ever": replace("STATUS", lambda bus, value: value | 1),
    "cycles counted while idle": replace("CYCLES_LO", lambda bus, value: value + 1),
    "wrong point not remembered": replace("STATUS", lambda bus, value: value & ~(1 << 8)),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_the_self_test_finds(bench, probe, defect):
    accelerator = probe(Traced(bench, defect))
    with pytest.raises(AcceleratorError):
        accelerator.self_test(max_polls=10)
        accelerator.test_refusals()


def test_writes_that_nobody_refuses_are_noticed(bench, probe):
    class Silent(Traced):
        def write32(self, offset, value):
            try:
                super().write32(offset, value)
            except BusError:
                pass

    accelerator = probe(Silent(bench))
    with pytest.raises(AcceleratorError):
        accelerator.self_test()
        accelerator.test_refusals()


def test_memory_mapped_in_c(library):
    """Probing and writing through plain memory that holds the constants of a design."""
    memory = (c_uint32 * 1024)()
    for field in MAP.fields:
        memory[MAP.by_name[field.path.partition(".")[0]].offset // 4] |= field.reset << field.lsb
    memory[MAP.by_name["JOB_QUEUE"].offset // 4] = 4
    accelerator = CAccelerator(None, library, memory)
    assert accelerator.psum_depth == CONFIG.psum_depth
    accelerator.start_job(qosnets_driver.Job(layer=1, positions=6, tile_offset=2, last=True))
    names = ("JOB_LAYER", "JOB_POSITIONS", "JOB_TILE_OFFSET", "JOB_START")
    assert [memory[MAP.by_name[name].offset // 4] for name in names] == [1, 6, 2, 1]
    with pytest.raises(ValueError):
        CAccelerator(None, library, POINTER(c_uint32)())


def test_the_c_driver_compiles_without_any_warning(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    options = ("-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-fsyntax-only")
    result = compile_c(tmp_path, *options)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_c_header_is_c_plus_plus_as_well(tmp_path):
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    compile_c(tmp_path, "-fsyntax-only")
    command = ["c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++", "qosnets.h"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_constants_of_the_python_driver():
    """They are written by hand, for the driver is one file; the map has the last word."""
    for register in qosnets_driver.Register:
        assert register == MAP.by_name[register.name].offset
    for flags, name in ((qosnets_driver.Errors, "STATUS"), (qosnets_driver.Interrupts, None)):
        for flag in flags:
            for register in [name] if name else ["INTERRUPT_ENABLE", "INTERRUPT_PENDING"]:
                assert flag == 1 << MAP.by_path[f"{register}.{flag.name.lower()}"].lsb
    sticky = [field for field in MAP.by_name["STATUS"].fields if field.kind.value == "sticky"]
    assert len(qosnets_driver.Errors) == len(sticky)
    bits = {
        "_BUSY": "STATUS.busy",
        "_FAULTED": "STATUS.faulted",
        "_COUNTING": "CONTROL.counting",
        "_CLEAR_COUNTERS": "CONTROL.clear_counters",
        "_SOFT_RESET": "CONTROL.soft_reset",
        "_QUEUE_FULL": "JOB_QUEUE.full",
    }
    for name, path in bits.items():
        assert getattr(qosnets_driver, name) == 1 << MAP.by_path[path].lsb
    assert MAP.by_path["ID.id"].reset == qosnets_driver._ID
    assert MAP.by_path["VERSION.major"].reset == qosnets_driver._VERSION_MAJOR
    lows = {f.name: f.lsb for f in MAP.by_name["LAYER_SHAPE"].fields}
    assert lows == {"last_rows": 0, "clamp_low": 8, "clamp_high": 16, "depthwise": 24}
    for name in ("GEOMETRY", "POINT_STATUS"):
        assert [f.lsb for f in MAP.by_name[name].fields] == [0, 8, 16, 24][
            : len(MAP.by_name[name].fields)
        ]
    for low in ("CYCLES", "STALL_ACTIVATIONS", "STALL_WEIGHTS", "STALL_RESULTS"):
        assert MAP.by_name[f"{low}_HI"].offset == MAP.by_name[f"{low}_LO"].offset + 4


def test_a_design_of_another_ops_json_has_another_hash():
    other = RegisterParameters(config=CONFIG, isolation=Isolation.BOTH, ops_sha256="f" * 64)
    header = register_documents(other.compile())["qosnets_registers.h"]
    assert b"OPS_HASH_7__WORD_reset 0xffffffff" in header
