"""Machines as users name and describe them. The descriptions here are made for the tests, in the forms of the tools."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import described, machine_input, machines, store

MIB = 2**20


def lscpu(name, signature, cpus, sockets, threads, l2, l3, **more):
    """What lscpu 2.37 or newer prints of such a host; `l2` and `l3` are (size of all in MiB, instances)."""
    family, model, stepping = signature
    fields = {
        "Architecture": "x86_64",
        "CPU(s)": cpus,
        "On-line CPU(s) list": f"0-{cpus - 1}",
        "Vendor ID": "AuthenticAMD" if family > 6 else "GenuineIntel",
        "Model name": name,
        "CPU family": family,
        "Model": model,
        "Thread(s) per core": threads,
        "Core(s) per socket": cpus // sockets // threads,
        "Socket(s)": sockets,
        "Stepping": stepping,
        "Flags": "fpu sme sev sev_es clflushopt clwb wbnoinvd sev_snp" if family > 6 else "fpu clflushopt clwb",
        "L2 cache": f"{l2[0]} MiB ({l2[1]} instances)",
        "L3 cache": f"{l3[0]} MiB ({l3[1]} instance{'s' if l3[1] > 1 else ''})",
        **more,
    }
    return "".join(f"{key + ':':<24}{value}\n" for key, value in fields.items())


HOSTS = {
    "EPYC 74F3": (("AMD EPYC 74F3 24-Core Processor", (25, 1, 1), 48, 1, 2, (12, 24), (256, 8)), "zen3", 8, 6, 32),
    "2 x EPYC 9375F": (
        ("AMD EPYC 9375F 32-Core Processor", (26, 2, 1), 128, 2, 2, (64, 64), (512, 16)),
        "zen5",
        16,
        8,
        32,
    ),
    "EPYC 8434P": (("AMD EPYC 8434P 48-Core Processor", (25, 160, 2), 96, 1, 2, (48, 48), (128, 8)), "zen4", 8, 12, 16),
    "EPYC 7452": (("AMD EPYC 7452 32-Core Processor", (23, 49, 0), 64, 1, 2, (16, 32), (128, 8)), "zen2", 8, 8, 16),
    "2 x EPYC 7281": (("AMD EPYC 7281 16-Core Processor", (23, 1, 2), 64, 2, 2, (16, 32), (64, 16)), "zen1", 16, 4, 4),
    "2 x EPYC 9R14": (("AMD EPYC 9R14", (25, 17, 1), 192, 2, 1, (192, 192), (768, 24)), "zen4", 24, 8, 32),
    "2 x EPYC 7453": (
        ("AMD EPYC 7453 28-Core Processor", (25, 1, 1), 112, 2, 2, (28, 56), (128, 8)),
        "zen3",
        8,
        14,
        16,
    ),
    "EPYC 9224": (("AMD EPYC 9224 24-Core Processor", (25, 17, 1), 48, 1, 2, (24, 24), (64, 4)), "zen4", 4, 12, 16),
    "EPYC 9754": (
        ("AMD EPYC 9754 128-Core Processor", (25, 160, 2), 256, 1, 2, (128, 128), (256, 16)),
        "zen4",
        16,
        16,
        16,
    ),
    "cloud slice": (("AMD EPYC 9V33X 96-Core Processor", (25, 17, 2), 44, 1, 2, (22, 22), (192, 2)), "zen4", 2, 22, 96),
    "Xeon 6975P-C": (
        ("INTEL(R) XEON(R) 6975P-C", (6, 173, 1), 192, 1, 2, (192, 96), (480, 1)),
        "granite-rapids",
        1,
        192,
        480,
    ),
}


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_host_that_lscpu_describes_is_a_machine(name, form, evidence, tmp_path):
    arguments, generation, domains, per_domain, mib = HOSTS[name]
    text = lscpu(*arguments)
    if form == "json":
        fields = [line.partition(":") for line in text.splitlines()]
        entries = [{"field": f"{key}:", "data": value.strip()} for key, _, value in fields]
        text = json.dumps({"lscpu": [{**entries[0], "children": entries[1:6]}, *entries[6:]]})
    path = tmp_path / "host.txt"
    path.write_text(text)
    machine = machine_input.find(evidence, str(path))
    assert machine.microarchitecture == generation
    assert (machine.domains, machine.cpus_per_domain) == (domains, per_domain)
    assert machine.llc_bytes_per_domain == mib * MIB
    assert machine.domains * machine.cpus_per_domain == machine.logical_cpus == arguments[2]
    assert machine.sockets == arguments[3]
    assert machine.given == "host.txt"
    assert machine.features["clflushopt"]
    assert not any("EXTRAPOLATED" in note and "L3" in note for note in machine.notes)


def test_an_old_lscpu_gives_the_size_of_one_cache(evidence):
    """Before 2.34 it printed `32768K` and no number of instances: the dump of the same signature tells who shares
    it.
    """
    text = lscpu("AMD EPYC 7R13 48-Core Processor", (25, 1, 1), 192, 2, 2, (1, 1), (1, 1))
    text = re.sub(r"L2 cache:.*", "L2 cache:  512K", re.sub(r"L3 cache:.*", "L3 cache:  32768K", text))
    machine = machine_input.from_text(evidence, text, "lscpu.txt", given="lscpu.txt")
    assert (machine.llc_bytes_per_domain, machine.l2_bytes_per_core) == (32 * MIB, MIB / 2)
    assert machine.cpus_per_domain == 16 and machine.domains == 12
    assert any("L3" in note and "same signature" in note for note in machine.notes)


def test_a_sum_without_instances_is_divided_by_the_size_of_one(evidence):
    text = lscpu("AMD EPYC 7763 64-Core Processor", (25, 1, 1), 256, 2, 2, (64, 128), (512, 16))
    text = text.replace(" (16 instances)", "").replace(" (128 instances)", "")
    machine = machine_input.from_text(evidence, text, "lscpu.txt", given="lscpu.txt")
    assert machine.domains == 16 and machine.llc_bytes_per_domain == 32 * MIB


def test_switched_off_smt_halves_who_shares_a_cache(evidence):
    text = "".join(
        f"processor : {cpu}\nvendor_id : AuthenticAMD\ncpu family : 25\nmodel : 1\nstepping : 1\n"
        f"model name : AMD EPYC 7763 64-Core Processor\nphysical id : {cpu // 64}\nsiblings : 64\ncpu cores : 64\n"
        "cache size : 512 KB\nclflush size : 64\nflags : sme sev clflushopt wbnoinvd\n\n"
        for cpu in range(128)
    )
    machine = machine_input.from_text(evidence, text, "cpuinfo", given="cpuinfo")
    assert (machine.logical_cpus, machine.sockets, machine.threads_per_core) == (128, 2, 1)
    assert (machine.cpus_per_domain, machine.domains) == (8, 16)
    assert machine.features["sme_coherent"], "no flag shows it: the dump of the signature does"


def cpuid_leaves(family, model, cpus_per_l3, l3_bytes):
    """Registers of a host with such caches, put together field by field as the manuals of both vendors lay them out."""

    def cache(level, kind, shared, size, ways=16):
        sets = size // (64 * ways)
        return (kind | level << 5 | (shared - 1) << 14, 63 | (ways - 1) << 22, sets - 1, 0)

    vendor = [int.from_bytes(part, "little") for part in (b"Auth", b"enti", b"cAMD")]
    name = b"AMD EPYC 0000 64-Core Processor".ljust(48, b"\0")
    words = [int.from_bytes(name[at : at + 4], "little") for at in range(0, 48, 4)]
    signature = 1 | (model & 15) << 4 | 15 << 8 | (model >> 4) << 16 | (family - 15) << 20
    return {
        (0, 0): (16, vendor[0], vendor[2], vendor[1]),
        (1, 0): (signature, 8 << 8, 0, 0),
        (7, 0): (0, 1 << 23 | 1 << 24, 0, 0),
        (0xB, 0): (1, 2, 0x100, 0),
        (0xB, 1): (7, 128, 0x201, 0),
        **{(0x80000002 + i, 0): tuple(words[4 * i : 4 * i + 4]) for i in range(3)},
        (0x80000008, 0): (0, 1 << 9, 0, 0),
        (0x8000001D, 0): cache(1, 1, 2, 32 * 1024, 8),
        (0x8000001D, 1): cache(1, 2, 2, 32 * 1024, 8),
        (0x8000001D, 2): cache(2, 3, 2, 512 * 1024, 8),
        (0x8000001D, 3): cache(3, 3, cpus_per_l3, l3_bytes),
        (0x8000001F, 0): (0b10000011011, 0, 0, 0),
    }


@pytest.mark.parametrize("form", ["cpuid -r", "InstLatx64"])
def test_a_cpuid_dump_tells_every_cache_and_feature(form, evidence):
    leaves = cpuid_leaves(25, 1, 16, 32 * MIB)
    if form == "cpuid -r":
        lines = [
            f"   0x{leaf:08x} 0x{sub:02x}: "
            + " ".join(f"{n}=0x{v:08x}" for n, v in zip(("eax", "ebx", "ecx", "edx"), r, strict=True))
            for (leaf, sub), r in leaves.items()
        ]
        text = "\n".join(f"CPU {cpu}:\n" + "\n".join(lines) for cpu in range(256))
    else:
        lines = [
            f"CPUID {leaf:08X}: " + "-".join(f"{v:08X}" for v in r) + (f" [SL {sub:02X}]" if sub else "")
            for (leaf, sub), r in leaves.items()
        ]
        text = "".join(f"------[ Logical CPU #{cpu} ]------\n" + "\n".join(lines) + "\n" for cpu in range(256))
    machine = machine_input.from_text(evidence, text, "dump.txt", given="dump.txt")
    assert (machine.sockets, machine.logical_cpus, machine.threads_per_core) == (2, 256, 2)
    assert (machine.domains, machine.cpus_per_domain, machine.llc_bytes_per_domain) == (16, 16, 32 * MIB)
    assert machine.l2_bytes_per_core == MIB / 2
    on = {name for name, has in machine.features.items() if has}
    assert on == {"clflushopt", "clwb", "wbnoinvd", "sme", "sev", "sev_es", "sev_snp", "sme_coherent"}


@pytest.mark.parametrize("version", [1, 2])
def test_lstopo_counts_what_lies_behind_a_cache(version, evidence):
    package, l3, l2 = (
        ("Socket", 'type="Cache" depth="3"', 'type="Cache" depth="2"')
        if version == 1
        else ("Package", 'type="L3Cache"', 'type="L2Cache"')
    )
    core = (
        f'<object {l2} cache_size="1048576" cache_linesize="64"><object type="Core">'
        + '<object type="PU"/>' * 2
        + "</object></object>"
    )
    domain = f'<object {l3} cache_size="33554432" cache_linesize="64">' + core * 8 + "</object>"
    facts = {"CPUVendor": "AuthenticAMD", "CPUFamilyNumber": "25", "CPUModelNumber": "17", "CPUStepping": "1"}
    infos = "".join(f'<info name="{name}" value="{value}"/>' for name, value in facts.items())
    text = f'<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc{version}.dtd"><topology><object type="Machine">'
    text += (f'<object type="{package}">{infos}' + domain * 12 + "</object>") * 2 + "</object></topology>"
    machine = machine_input.from_text(evidence, text, "host.xml", given="host.xml")
    assert (machine.sockets, machine.logical_cpus, machine.domains, machine.cpus_per_domain) == (2, 384, 24, 16)
    assert machine.microarchitecture == "zen4"


@pytest.mark.parametrize(
    ("asked", "id"),
    [
        ("milan", "epyc-7763-2s"),
        ("EPYC 7763", "epyc-7763-2s"),
        ("EPYC 9754", "epyc-9754-1s"),
        ("bergamo", "epyc-9754-1s"),
        ("2x 9124", "epyc-9124-2s"),
        ("2 x AMD EPYC 9124", "epyc-9124-2s"),
        ("Xeon Platinum 8280", "xeon-8280-1s"),
        ("epyc-7763-2s", "epyc-7763-2s"),
    ],
)
def test_a_marketing_name_is_understood_in_any_case(asked, id, evidence):
    assert machine_input.find(evidence, asked).id == id
    assert machine_input.find(evidence, asked.upper() if "-2s" not in asked else asked).id == id


def test_a_word_of_titles_means_their_machine_where_there_is_one_and_else_all_are_listed(evidence):
    """How many machines a core generation has is for whoever adds one: today `genoa` means one."""
    catalogued = [one for one in evidence.machines.values() if one.id not in evidence.hosts]
    genoa = [one.id for one in catalogued if "genoa" in one.title.lower()]
    assert "epyc-9654-2s" in genoa
    for asked in ("genoa", "GENOA"):
        if len(genoa) == 1:
            assert machine_input.find(evidence, asked).id == "epyc-9654-2s"
            continue
        with pytest.raises(BadInput) as several:
            machine_input.find(evidence, asked)
        assert all(id in str(several.value) for id in genoa)


def test_a_second_machine_of_a_generation_makes_its_word_stand_for_both(evidence):
    known = evidence.machine("epyc-9654-2s")
    more = evidence.with_machine(dataclasses.replace(known, id="epyc-9354-1s", title="1 x AMD EPYC 9354 (Genoa)"))
    with pytest.raises(BadInput, match=r"epyc-9354-1s.*epyc-9654-2s|epyc-9654-2s.*epyc-9354-1s"):
        machine_input.find(more, "genoa")
    assert machine_input.find(more, "9354").id == "epyc-9354-1s"


def test_every_dump_of_data_can_be_asked_for(evidence):
    for name in machine_input.named(evidence):
        machine = machine_input.find(evidence, name)
        assert machine.domains * machine.cpus_per_domain == machine.logical_cpus, name
    for row in evidence.dumps.values():
        assert machine_input.from_dump(evidence, row, row.dump).llc_bytes_per_domain == row.l3_bytes


def test_parts_and_dumps_of_the_same_part_agree(evidence):
    """A vendor's page against CPUID: threads of a package, and L3 caches where the dump tells who shares one."""
    seen = set()
    for part in machine_input.read_parts(evidence.root / "server_parts.csv", tuple(evidence.dumps)).values():
        for row in evidence.dumps.values():
            package = int(float(row.cells["logical_cpus_per_package"] or 0))
            if set(machine_input._words(row.model)) != set(machine_input._words(part.name)) or not package:
                continue
            threads, shared = (int(float(row.cells[n])) for n in ("threads_per_core", "l3_shared_by_max_logical_cpus"))
            assert package // threads == part.cores, row.dump
            per_package = row.l3_bytes * max(1, package // shared)
            assert per_package == part.l3_bytes, row.dump
            seen.add(part.name)
    assert len(seen) >= 4


def test_a_part_without_a_dump_is_told_by_its_source_and_the_rest_by_its_model(evidence):
    machine, origins = machine_input.origins(evidence, "8434P")
    assert (machine.id, machine.microarchitecture, machine.sockets) == ("epyc-8434p-1s", "zen4", 1)
    assert (machine.logical_cpus, machine.domains, machine.cpus_per_domain) == (96, 8, 12)
    assert machine.llc_bytes_per_domain == 16 * MIB and machine.dram_peak_bytes_per_s_per_socket == 230.4e9
    assert machine.features["sev_snp"] and machine.given == "8434P"
    assert "kepler" in origins["logical_cpus"] and "9754" in origins["l2_bytes_per_core"]
    told = lscpu(*HOSTS["EPYC 8434P"][0])
    described_host = machine_input.from_text(evidence, told, "lscpu.txt", given="lscpu.txt")
    for name in ("logical_cpus", "domains", "cpus_per_domain", "llc_bytes_per_domain", "l2_bytes_per_core"):
        assert getattr(machine, name) == getattr(described_host, name), name


@pytest.mark.parametrize(
    "name", [name for name in HOSTS if "EPYC" in name and "9R14" not in name and "9375F" not in name]
)
def test_what_the_catalogue_of_parts_says_is_what_lscpu_of_such_a_host_says(name, evidence):
    asked = name.replace("EPYC ", "")
    machine = machine_input.find(evidence, asked)
    _, _, domains, per_domain, mib = HOSTS[name]
    assert (machine.domains, machine.cpus_per_domain) == (domains, per_domain)
    assert machine.llc_bytes_per_domain == mib * MIB


def test_caches_that_no_source_counts_are_extrapolated_or_refused(evidence, monkeypatch):
    machine, origins = machine_input.origins(evidence, "2x 74F3")
    assert machine.sockets == 2 and "EXTRAPOLATED" in origins["llc_bytes_per_domain"]
    assert any("L3: 8 caches a socket" in note for note in machine.notes)
    known = machine_input._parts(evidence)["AMD EPYC 7453"]
    apart = dataclasses.replace(known, l3_caches=None, l3_source="")
    monkeypatch.setattr(machine_input, "_parts", lambda evidence: {apart.name: apart})
    with pytest.raises(BadInput, match=r"28 cores and 64 MiB of L3, but into how many caches.*lscpu"):
        machine_input.find(evidence, "7453")


def test_a_part_for_one_socket_is_not_put_into_two(evidence):
    with pytest.raises(BadInput, match="at most 1 socket"):
        machine_input.find(evidence, "2x 8434P")
    assert machine_input.find(evidence, "8x 8490H").sockets == 8


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",48,96,1,", ",48,95,1,", "divide"),
        (",131072,8,230.4,", ",131072,7,230.4,", "l3_caches"),
        (",131072,8,230.4,", ",131072,,230.4,", "l3_source"),
        ("Bergamo_04_CPUID.txt,48", "Siena_CPUID.txt,48", "dump"),
        ("lscpu of the part", "hearsay", "method"),
    ],
)
def test_a_spoilt_row_of_parts_is_one_clear_line(old, new, said, evidence, tmp_path):
    rows = (evidence.root / "server_parts.csv").read_text().splitlines()
    row = next(line for line in rows if "8434P" in line)
    assert old in row
    (tmp_path / "server_parts.csv").write_text("\n".join([rows[0], row.replace(old, new, 1)]) + "\n")
    with pytest.raises(BadInput) as caught:
        machine_input.read_parts(tmp_path / "server_parts.csv", tuple(evidence.dumps))
    assert caught.value.row == "AMD EPYC 8434P" and said in str(caught.value)


def test_several_matches_are_listed_and_none_says_what_to_do(evidence):
    with pytest.raises(BadInput, match=r"several.*epyc-9655-2s.*epyc-9965-2s|several.*epyc-9965"):
        machine_input.find(evidence, "turin")
    with pytest.raises(UnknownName, match="lscpu"):
        machine_input.find(evidence, "EPYC 9R99")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hello", "no machine"),
        ("Architecture:  aarch64\nCPU(s): 4\nVendor ID: ARM\n", "neither an AMD nor an Intel"),
        ("Architecture:  x86_64\nVendor ID: AuthenticAMD\n", "CPU(s)"),
        ("CPU(s): 4\nVendor ID: AuthenticAMD\nCPU family: 25\n", "family and model"),
        ("CPU(s): 4\nVendor ID: AuthenticAMD\nCPU family: 6\nModel: 9\nThread(s) per core: 2\n", "L2"),
        ("CPU(s): 999999999\nVendor ID: AuthenticAMD\nCPU family: 25\nModel: 1\n", "cannot be"),
        ('{"lscpu": [', "cannot be read"),
        ('{"lscpu": 3}', "CPU(s)"),
        ('<?xml version="1.0"?><!DOCTYPE topology [<!ENTITY a "b">]><topology/>', "entities"),
        ('<?xml version="1.0"?><topology>', "no XML"),
        ("0x00000000 0x00: eax=0x00000000 ebx=0x00000000 ecx=0x00000000 edx=0x00000000", "neither"),
    ],
)
def test_what_is_no_description_is_refused_with_the_way_out(text, problem, evidence):
    with pytest.raises(BadInput, match=re.escape(problem)) as caught:
        machine_input.from_text(evidence, text, "host.txt", given="host.txt")
    assert caught.value.file == "host.txt" and caught.value.remedy


def test_the_generations_are_those_of_the_catalogue(evidence):
    """The kernel's ranges of models, against what data/machines says of each signature."""
    for machine in evidence.machines.values():
        rows = [
            row for row in evidence.dumps.values() if row.dump in {s for v in machine.provenance.values() for s in v}
        ]
        for row in rows:
            found = machine_input.microarchitecture(
                evidence, machine.vendor, *machine_input.family_model(row.signature)
            )
            assert found == machine.microarchitecture, row.dump


def test_a_described_machine_joins_the_evidence_of_this_process_and_its_children(evidence):
    machine = machine_input.find(evidence, "9754")
    store.tell(machine)
    assert store.load().machine("epyc-9754-1s") == machine
    assert store.load().data_hash != evidence.data_hash
    code = "from costmodel.evidence.store import load; print(load().machine('epyc-9754-1s').title)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == machine.title
    del os.environ[store.TOLD]
    assert store.load() is evidence


def test_a_damaged_telling_is_one_clear_error(monkeypatch):
    monkeypatch.setenv(store.TOLD, '{"x": {"id": 3}}')
    with pytest.raises(BadInput, match="COSTMODEL_TOLD"):
        store.load()


def test_the_bounds_of_a_description_hold_for_hostile_numbers():
    with pytest.raises(BadInput, match="cannot be"):
        described.read(
            "CPU(s): 4\nVendor ID: AuthenticAMD\nCPU family: 25\nModel: 1\nL3 cache: 9999999 GiB (1 instance)\n", "x"
        )


def test_memory_bandwidth_is_that_of_the_generation_and_says_so(evidence):
    machine = machine_input.find(evidence, "EPYC 9754")
    assert machine.dram_peak_bytes_per_s_per_socket == evidence.machine("epyc-9654-2s").dram_peak_bytes_per_s_per_socket
    assert any("memory bandwidth" in note and "EXTRAPOLATED" in note for note in machine.notes)
    unknown = machine_input.find(evidence, "658x")
    assert unknown.dram_peak_bytes_per_s_per_socket is None and "no machine of this generation" in str(unknown.missing)


def test_a_host_described_twice_is_one_machine_and_none_of_the_catalogue(tmp_path):
    path = tmp_path / "lscpu.txt"
    path.write_text(lscpu("AMD EPYC 7763 64-Core Processor", (25, 1, 1), 256, 2, 2, (64, 128), (512, 16)))
    first = machine_input.find(store.load(), str(path))
    store.tell(first)
    assert machine_input.find(store.load(), str(path)) == first
    assert first.id == "epyc-7763-2s-described"


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_nodes_per_socket_change_no_cache(nodes, evidence):
    """NPS4 parts the memory of a socket, not its caches: the machine is the same."""
    told = lscpu(*HOSTS["EPYC 9754"][0], **{"NUMA node(s)": nodes})
    alone = lscpu(*HOSTS["EPYC 9754"][0])
    machines = [machine_input.from_text(evidence, text, "a", given="a") for text in (told, alone)]
    assert machines[0] == machines[1]


def test_what_the_bios_switched_off_is_said(evidence):
    text = lscpu(*HOSTS["EPYC 7452"][0], Flags="fpu sme clflushopt clwb wbnoinvd")
    machine = machine_input.from_text(evidence, text, "a", given="a")
    assert {"sev", "sev_es"} <= set(machine.features_off) and machine.features["sev"]
    assert any("not shown although the CPU has them" in note for note in machine.notes)
    shown = machine_input.from_text(evidence, lscpu(*HOSTS["EPYC 7452"][0]), "a", given="a")
    assert "sev" not in shown.features_off


def test_sockets_are_those_of_the_entry_of_the_dump_or_as_asked(evidence):
    """The rule that `costmodel machine --help` states."""
    sockets = {asked: machine_input.find(evidence, asked).sockets for asked in ("7763", "9754", "2x 9754")}
    assert sockets == {"7763": 2, "9754": 1, "2x 9754": 2}


def test_origins_tell_each_number(evidence):
    machine, origins = machine_input.origins(evidence, "2x 9754")
    assert set(origins) == set(machines.NUMBERS) and origins["sockets"] == "asked for"
    assert "EXTRAPOLATED" in origins["dram_peak_bytes_per_s_per_socket"]
    again = machine_input.from_text(evidence, lscpu(*HOSTS["EPYC 8434P"][0]), "lscpu.txt", given="x").origins
    assert again["cpus_per_domain"] == "told by lscpu (lscpu.txt)"


def test_why_tdx_is_taken_as_absent_is_told(evidence):
    told = lscpu(*HOSTS["Xeon 6975P-C"][0])
    machine = machine_input.from_text(evidence, told, "a", given="a")
    assert not machine.features["tdx"] and "tdx_host_platform is not shown" in machine.missing["features.tdx"]
    shown = machine_input.from_text(evidence, told.replace("fpu", "fpu tdx_host_platform"), "a", given="a")
    assert shown.features["tdx"] and "features.tdx" not in shown.missing
