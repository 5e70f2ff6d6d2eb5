"""Every reader of the project with the good files that the hostile ones are made from."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cli.ask import Predictor, of_host, predicted
from costmodel.evidence import hosts, machine_input, machines, paths, records, workloads
from costmodel.evidence.store import load
from costmodel.kvm import admissibility, events, kernels, setup
from costmodel.mail import read as mails
from costmodel.mail.reply import attribution, compose, quoted
from costmodel.traces import reader, store, triggers
from tests.fuzz.mutations import mutated
from tests.measure.test_trace_formats import PERF, RAW, TGID, TRACE_CMD

HOST = "epyc-genoa-4cpu-vm"
INPUTS = Path(__file__).parents[1] / "traces/inputs"
COUNTS = ("bpftrace-stack.txt", "bpftrace-units.txt", "funclatency.txt", "perf-stat.txt")
CLOCKS = ("cmd-x86-tsc.txt", "ftrace-x86-tsc.txt", "ftrace-counter.txt")
TRACE = "\n".join(
    ["# tracer: nop", "# entries-in-buffer/entries-written: 205/1205   #P:4", RAW, PERF, TRACE_CMD, TGID, ""]
)
BPFTRACE = """Attaching 3 probes...
@len_kib[ksmd]:
[0]                    3 |@@@                |
[4, 8)               120 |@@@@@@@@@@@@@@@@@@@|
[1K, 2K)               5 |@                  |

@count[qemu]: 77
{"type": "hist", "data": {"@len_kib": {"ksmd": [{"min": 4, "max": 7, "count": 3}]}}}
{"type": "map", "data": {"@n": {"a": 3}}}
  0)   1234.567 us  |  wbinvd_on_all_cpus();
CPU:3 [LOST 12 EVENTS]
"""
TRACE_CSV = "t_s,task,start,end,pid,cpu,vm,overlap_bytes,duration_ns\n0.1,a,0,4096,1,2,v,0,5\n0.2,b,4096,8192,,,,,\n"
SLOTS = "start,end\n0,4096\n0x7f0000000000,0x7f0040000000\n"
CELLS = "guest_type,trigger,strategy\nsev,unreg_region,WBINVD_ALL\nsev-es,munmap_or_discard,NO_FLUSH\n"
PREDICT = "instruction,state,range_bytes,page,note\nCLFLUSHOPT,dirty,65536,4KiB,a\nCLFLUSH,clean,4096,2MiB,=b\n"
MAIL = """From: =?utf-8?q?J=C3=B6?= <j@e.org>
To: a@b.org, "x, y" <c@d.org>
Cc: kvm@vger.kernel.org (list), K <k@e.org>
Reply-To: =?utf-8?b?w6k=?= <r@e.org>
Subject: Re: =?iso-8859-1?q?caf=E9?= [PATCH 1/2]
Message-ID: <1@a.org>
Date: Fri, 18 Aug 2023 10:00:00 +0000
References: <2@b.org>
 <3@b.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

On Mon, K wrote:
> > WBINVD caf=C3=A9
> is slow
Yes.
--b--
"""
PAGE = (
    "Re: subject\n\nFrom: A Name\nDate: Fri Aug 18 2023 - 16:33:54 EST\n\nOn Fri, B wrote:\n\nWBINVD is slow\n\nYes.\n"
)
NESTED = f"=?utf-8?b?{b64encode(b'=?utf-8?q?=0ABcc:_a=40evil.example?=').decode()}?="


@dataclass(frozen=True)
class Reader:
    """`read` takes a file made of `seeds`; `name` is what the file is called; `weight`: how often it gets its turn."""

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    weight: int = 4
    change: Callable[[random.Random, bytes], bytes] = mutated


def invoked(*words: object) -> None:
    """A command of the command line; an exception of it comes out as it is."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception


@cache
def _data() -> Path:
    return paths.data_dir()


@cache
def _dumps():
    return machines.read_dumps(_data() / machines.FILE)


@cache
def _machines():
    return {path.stem: machines.read_machine(path, _dumps()) for path in sorted((_data() / "machines").glob("*.toml"))}


def _head(path: Path, lines: int) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[: lines + 1])


def _file(name: str, lines: int = 40) -> Callable[[], list[bytes]]:
    """The file as it is, shortened so that a mutation has weight."""
    return lambda: [_head(_data() / name, lines), _head(_data() / name, 4)]


def _documents(folder: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted((_data() / folder).glob("*.toml"))]


def _named(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """A TOML document must have the id of its file: the file is called as the document says, where it says so."""

    def reading(path: Path) -> object:
        found = re.search(rb'^id = "([a-z0-9.-]{1,80})"', path.read_bytes(), re.MULTILINE)
        if not found:
            return read(path)
        target = path.with_name(f"{found[1].decode()}.toml")
        target.write_bytes(path.read_bytes())
        return read(target)

    return reading


def _profile() -> list[bytes]:
    """A profile as one JSON document: file name to text, so that a mutation may hit any of them."""
    folder = _data() / "hosts" / HOST
    whole = {
        path.name: _head(path, 12 if path.suffix == ".csv" else 10**6).decode() for path in sorted(folder.iterdir())
    }
    return [json.dumps({name: whole[name]}).encode() for name in whole]


def _changed_profile(rng: random.Random, content: bytes) -> bytes:
    [(name, text)] = json.loads(content).items()
    return json.dumps({name: mutated(rng, text.encode()).decode("latin-1")}).encode()


def _read_profile(path: Path) -> object:
    """The committed profile with one file changed, its checksum made right where host.toml still is TOML."""
    folder = path.parent / HOST
    folder.mkdir(exist_ok=True)
    files = {
        file.name: _head(file, 12 if file.suffix == ".csv" else 10**6) for file in (_data() / "hosts" / HOST).iterdir()
    }
    files |= {name: text.encode("latin-1") for name, text in json.loads(path.read_bytes()).items()}
    host = files["host.toml"]
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest().encode()
        host = re.sub(rb'("%s" = )"[0-9a-f]{64}"' % re.escape(name.encode()), rb'\1"%s"' % digest, host)
    for name, content in (files | {"host.toml": host}).items():
        (folder / name).write_bytes(content)
    found = hosts.read(folder, _dumps(), _machines())
    return [found.table(probe) for probe in found.parsed]


def _import_trace(path: Path) -> object:
    notes = reader.Notes()
    out = path.with_name("out.parquet")
    footer = store.write(reader.batches(path, notes), out, path, lambda: store.Said(notes.lost, notes.remarks))
    return footer, store.footer_of(out)


def _traces() -> list[bytes]:
    profile = _head(_data() / "hosts" / HOST / "invalidations.csv", 8)
    return [
        TRACE.encode(),
        BPFTRACE.encode() + RAW.encode(),
        *(path.read_bytes() for path in sorted(INPUTS.glob("*.txt")) if path.name not in (*COUNTS, *CLOCKS)),
        TRACE_CSV.encode(),
        profile,
        b"t_s,task,start, end\n0.1,a,0,1\n",
    ]


def _measured() -> list[bytes]:
    return [(BPFTRACE + TRACE).encode(), *((INPUTS / name).read_bytes() for name in COUNTS)]


def _parquets() -> list[bytes]:
    """Imported traces, one of them with every column."""
    import tempfile

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for text in (TRACE, TRACE_CSV):
            source, out = Path(folder) / "a.txt", Path(folder) / "a.parquet"
            source.write_text(text)
            store.write(reader.batches(source, reader.Notes()), out)
            found.append(out.read_bytes())
    return found


def _changed_parquet(rng: random.Random, content: bytes) -> bytes:
    """Damage of bytes, or a file of right form with columns and a footer that lie."""
    import pyarrow
    from pyarrow import parquet

    if rng.random() < 0.5:
        return mutated(rng, content)
    table = parquet.read_table(io.BytesIO(content))
    if rng.random() < 0.6:
        at = rng.randrange(table.num_columns)
        values = rng.choice(
            ([1.5] * 9, ["x"] * 9, [None] * 9, [[1]] * 9, [-1] * 9, [2**62 + 1] * 9, [-(2**63)] * 9, [b"\xff"] * 9)
        )
        name = rng.choice((table.column_names[at], rng.choice(table.column_names), "other"))
        table = table.set_column(at, name, pyarrow.array(values[: table.num_rows]))
    if rng.random() < 0.7:
        key = store.FOOTER
        metadata = {key: mutated(rng, (table.schema.metadata or {}).get(key, b"{}"))}
        table = table.replace_schema_metadata(metadata if rng.random() < 0.9 else None)
    out = io.BytesIO()
    parquet.write_table(table, out, row_group_size=rng.choice((1, 2, 100)), compression=rng.choice(("zstd", "none")))
    return out.getvalue()


def _summary_json() -> list[bytes]:
    from costmodel.traces import summary

    found = []
    for content in _parquets():
        path = _scratch() / "seed.parquet"
        path.write_bytes(content)
        found.append(json.dumps(summary.summarise(path).as_json()).encode())
    return found


@cache
def _scratch() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _mails() -> list[bytes]:
    mail = MAIL.encode()
    mbox = b"From x Thu Jan  1 00:00:00 1970\n" + mail + b"\nFrom y Thu Jan  1 00:00:00 1970\n" + mail
    nested = MAIL.replace("=?iso-8859-1?q?caf=E9?=", NESTED).replace("=?utf-8?q?J=C3=B6?=", NESTED).encode()
    return [mail, mbox, PAGE.encode(), nested]


def _answer(path: Path) -> None:
    """Every mail of the file is quoted and answered; the reply holds no header but ours."""
    for mail in mails.read(path):
        lines = quoted(mail, ["."]).lines if any(line.text for line in mail.lines) else ()
        content = compose(mail, [*attribution(mail), *lines[:50]])
        head = content.partition(b"\n\n")[0].decode("ascii")
        names = {one.partition(":")[0] for one in head.split("\n") if not one.startswith(" ")}
        fixed = {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
        assert names <= {"Subject", "To", "Cc", "In-Reply-To", "References", *fixed}, names


@cache
def _predictor() -> Predictor:
    return of_host(load().host(HOST))


def _predict(path: Path) -> None:
    """As the command does, with a model that is made once: to make it takes seconds."""
    with path.open(encoding="utf-8-sig") as cells:
        predicted(_predictor(), cells)


def readers() -> list[Reader]:
    """All of them."""
    return [
        Reader("measurements.csv", _file("measurements.csv"), records.read_measurements),
        Reader("parameters.csv", _file("parameters.csv"), records.read_parameters),
        Reader("cpuid_features.csv", _file("cpuid_features.csv"), machines.read_dumps),
        Reader(
            "server_parts.csv", _file("server_parts.csv"), lambda path: machine_input.read_parts(path, tuple(_dumps()))
        ),
        Reader("admissibility.csv", _file("kvm/admissibility.csv"), admissibility.read_facts),
        Reader("disagreements.csv", _file("kvm/disagreements.csv"), admissibility.read_documented),
        Reader("events.csv", _file("kvm/events.csv"), events.read),
        Reader("guest_defaults.csv", _file("kvm/guest_defaults.csv"), setup.read),
        Reader("remedies.csv", _file("kvm/remedies.csv"), kernels.read_remedies),
        Reader("call_chains.csv", _file("kvm/call_chains.csv"), triggers.read),
        Reader("upstream_behaviour.csv", _file("kvm/upstream_behaviour.csv"), kernels.read),
        Reader("upstream_decisions.csv", _file("kvm/upstream_decisions.csv"), kernels.read_decisions),
        Reader("machine.toml", _documents("machines"), _named(lambda path: machines.read_machine(path, _dumps()))),
        Reader("workload.toml", _documents("workloads"), _named(workloads.read)),
        Reader("profile.json", _profile, _read_profile, 6, _changed_profile),
        Reader("trace.txt", _traces, _import_trace, 8),
        Reader("trace.parquet", _parquets, _import_trace, 3, _changed_parquet),
        Reader("imported.parquet", _parquets, lambda path: invoked("trace", "summary", path), 3, _changed_parquet),
        Reader("summary.json", _summary_json, lambda path: invoked("trace", "summary", path), 3),
        Reader("measured.txt", _measured, lambda path: invoked("measure", "import", path)),
        Reader("slots.csv", lambda: [SLOTS.encode()], reader.read_memslots),
        Reader("mail.eml", _mails, _answer, 10),
        Reader("cells.csv", lambda: [CELLS.encode()], lambda path: invoked("admissible", "--batch", path), 3),
        Reader("predict.csv", lambda: [PREDICT.encode()], _predict),
    ]
