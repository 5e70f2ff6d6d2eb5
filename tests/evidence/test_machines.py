"""data/cpuid_features.csv and its reader."""

import pytest

from costmodel.errors import BadInput
from costmodel.evidence import paths, store
from costmodel.evidence.machines import FILE
from costmodel.evidence.machines import read_dumps as read


def test_dump_of_rome():
    row = read(paths.data_dir() / FILE)["AuthenticAMD0830F10_K17_Rome_CPUID.txt"]
    assert (row.signature, row.l2_bytes, row.l3_bytes) == ("00830F10", 512 * 1024, 16 * 2**20)
    assert {"sev_es", "vm_page_flush", "wbnoinvd"} <= row.bits
    assert "sme_coherent" not in row.bits


def test_empty_bits_of_intel_count_as_absent():
    row = read(paths.data_dir() / FILE)["GenuineIntel00606A6_ICX_CPUID2.txt"]
    assert row.bits == {"clflushopt", "clwb", "wbnoinvd"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (",00830F10,256,64,1,", ",00830F10,256,64,2,", "clflushopt"),
        ("K17_Rome_CPUID.txt", "K17_Rome_CPUID2.txt", "source"),
        (",0,512,2,0,16384,8,1,2,128,", ",0,512,2,0,,8,1,2,128,", "l3_kib"),
    ],
)
def test_bad_dump_is_refused(edit, old, new, field):
    root = edit(FILE, old, new)
    with pytest.raises(BadInput) as caught:
        read(root / FILE)
    assert caught.value.field == field


# data/machines against the CPUID dumps and the rows. Machines may be added: these are the ones that reports are of.

IDS = (
    "epyc-7601-2s",
    "epyc-7742-2s",
    "epyc-7763-2s",
    "epyc-9654-2s",
    "epyc-9655-2s",
    "epyc-9965-2s",
    "xeon-5520-2s",
    "xeon-6330-2s",
    "xeon-8160-2s",
    "xeon-8570-2s",
    "xeon-w9-3475x-1s",
)


def test_catalogue(evidence):
    """Every file of data/machines is a machine, in the order of the ids, and none of those that reports name is lost."""
    catalogued = [name for name in evidence.machines if name not in evidence.hosts]
    files = sorted(path.stem for path in (evidence.root / "machines").glob("*.toml"))
    assert catalogued == files
    assert tuple(name for name in catalogued if name in IDS) == IDS


@pytest.mark.parametrize(
    ("id", "cpus", "domains", "per_domain", "llc_mib"),
    [
        ("epyc-7601-2s", 128, 16, 8, 8),
        ("epyc-7742-2s", 256, 32, 8, 16),
        ("epyc-7763-2s", 256, 16, 16, 32),
        ("epyc-9654-2s", 384, 24, 16, 32),
        ("epyc-9655-2s", 192, 24, 8, 32),
        ("epyc-9965-2s", 384, 24, 16, 32),
        ("xeon-8160-2s", 96, 2, 48, 33),
        ("xeon-6330-2s", 112, 2, 56, 42),
        ("xeon-w9-3475x-1s", 72, 1, 72, 82.5),
        ("xeon-8570-2s", 224, 2, 112, 300),
        ("xeon-5520-2s", 112, 2, 56, 52.5),
    ],
)
def test_topology(evidence, id, cpus, domains, per_domain, llc_mib):
    host = evidence.machine(id)
    assert (host.logical_cpus, host.domains, host.cpus_per_domain) == (cpus, domains, per_domain)
    assert host.llc_bytes_per_domain == llc_mib * 2**20
    assert host.domains * host.cpus_per_domain == host.logical_cpus
    assert host.domains % host.sockets == 0


def test_last_level_cache_per_socket_agrees_with_other_sources(evidence):
    for id, row in (("epyc-7601-2s", "M7"), ("epyc-9654-2s", "M10")):
        host = evidence.machine(id)
        assert host.llc_bytes_per_domain * host.domains_per_socket == evidence.one(row).si


def test_cache_sizes_agree_with_the_decoded_registers(evidence):
    for row in evidence.rows("geometry.cache_bytes", use="check"):
        dumps = [dump for dump in evidence.dumps.values() if row.source_locator.endswith("/" + dump.dump)]
        level = {"L1D": float(dumps[0].cells["l1d_kib"]) * 1024, "L2": dumps[0].l2_bytes, "L3": dumps[0].l3_bytes}
        assert level[row.quantity.split()[0]] == row.si


def test_bit_that_firmware_switched_off_is_a_capability(evidence):
    genoa = evidence.machine("epyc-9654-2s")
    assert genoa.features["sev_snp"]
    assert genoa.features_off == ("sev_snp",)
    assert genoa.provenance["features.sev_snp"] == ("AuthenticAMD0A10F11_K19_Genoa_02_CPUID.txt",)


@pytest.mark.parametrize(
    ("feature", "having"),
    [
        ("sev", {"epyc-7601-2s", "epyc-7742-2s", "epyc-7763-2s", "epyc-9654-2s", "epyc-9655-2s", "epyc-9965-2s"}),
        ("sev_snp", {"epyc-7763-2s", "epyc-9654-2s", "epyc-9655-2s", "epyc-9965-2s"}),
        ("vm_page_flush", {"epyc-7601-2s", "epyc-7742-2s", "epyc-7763-2s"}),
        ("sme_coherent", {"epyc-7763-2s", "epyc-9654-2s", "epyc-9655-2s", "epyc-9965-2s"}),
        ("wbnoinvd", set(IDS) - {"epyc-7601-2s", "xeon-8160-2s"}),
        ("tdx", {"xeon-5520-2s", "xeon-8570-2s"}),
    ],
)
def test_features(evidence, feature, having):
    assert {name for name in IDS if evidence.machine(name).features[feature]} == having


def test_a_number_without_source_is_missing_with_a_reason(evidence):
    for host in map(evidence.machine, IDS):
        assert (host.dram_peak_bytes_per_s_per_socket is None) == ("dram_peak_bytes_per_s_per_socket" in host.missing)
    assert evidence.machine("xeon-5520-2s").dram_peak_bytes_per_s_per_socket is None
    assert evidence.machine("epyc-7601-2s").dram_peak_bytes_per_s_per_socket == pytest.approx(170.624e9)


FILE_MACHINES = "machines/epyc-7763-2s.toml"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('id = "epyc-7763-2s"', 'id = "other"', "id"),
        ("sockets = { value = 2,", "sockets = { value = 3,", "logical_cpus"),
        ("sockets = { value = 2,", "sockets = { value = 2.5,", "sockets"),
        ("llc_bytes_per_domain = { value = 32768", "llc_bytes_per_domain = { value = -32768", "llc_bytes_per_domain"),
        ("llc_bytes_per_domain = { value = 32768", "llc_bytes_per_domain = { value = nan", "llc_bytes_per_domain"),
        (
            'unit = "KiB", source = "AuthenticAMD0A00F11_K19_Milan_CPUID2.txt", column = "l3_kib"',
            'unit = "acre", source = "AuthenticAMD0A00F11_K19_Milan_CPUID2.txt", column = "l3_kib"',
            "llc_bytes_per_domain",
        ),
        (', source = "M13"', "", "dram_peak_bytes_per_s_per_socket"),
        (
            'dram_peak_bytes_per_s_per_socket = { value = 204.8, unit = "GB/s", source = "M13" }',
            "",
            "dram_peak_bytes_per_s_per_socket",
        ),
        ("[numbers]", "[numbers]\nspeed = 1", "speed"),
        ("[numbers]", "colour = 1\n[numbers]", "colour"),
        ('vendor = "amd"', 'vendor = "via"', "vendor"),
        ('vendor = "amd"', 'vendor = "intel"', "tdx"),
        ('title = "2 x AMD EPYC 7763 (Milan)"', 'title = "<script>"', "title"),
        ('signature = "00A00F11"', 'signature = "none"', "signature"),
        ('signature = "00A00F11"', 'signature = "00A00F11"\ntdx = 1', "tdx"),
        ("[numbers]", "[tdx]\nvalue = true\n[numbers]", "source_title"),
        ("[numbers]", "notes = 1\n[numbers]", "notes"),
        ("[numbers]", "[missing]\ntdx = 1\n[numbers]", "tdx"),
    ],
)
def test_bad_machine_is_refused_with_its_place(edit, old, new, field):
    root = edit(FILE_MACHINES, old, new)
    with pytest.raises(BadInput) as caught:
        store.read(root)
    assert caught.value.file == "epyc-7763-2s.toml" and field in caught.value.field.split(".")
    assert caught.value.remedy


def test_broken_toml_is_refused(edit):
    root = edit(FILE_MACHINES, "[numbers]", "[numbers")
    with pytest.raises(BadInput, match="no TOML"):
        store.read(root)
