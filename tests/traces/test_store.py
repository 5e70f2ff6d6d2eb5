"""Import into Parquet: what goes in comes out, sorted, whole or not at all."""

import json

import numpy
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.traces import reader, store
from tests.traces.conftest import table


def read(path, *columns):
    footer = store.footer_of(path)
    return footer, list(store.blocks(path, footer, columns))


def test_round_trip(trace):
    path = trace(table([5, 7, 7], ["a", "b", "a"], [1, None, 3], [4096, 8192, 1], vm=["x", None, "y"], cpu=[0, 1, 2]))
    footer, (block,) = read(path, "task", "pid")
    assert (footer.events, footer.first_ns, footer.last_ns, footer.without_pid) == (3, 5, 7, 1)
    assert footer.tasks == {"a": 2, "b": 1} and footer.with_vm == 2
    assert block.time_ns.tolist() == [5, 7, 7] and block.task.tolist() == [0, 1, 0]
    assert block.pid.tolist() == [1, -1, 3]
    assert (block.end - block.start).tolist() == [4096, 8192, 1]
    stored = pyarrow.parquet.read_table(path)
    assert stored.column("vm").to_pylist() == ["x", None, "y"] and stored.column("cpu").to_pylist() == [0, 1, 2]
    assert stored.schema.remove_metadata().equals(store.arrow_schema())


def test_events_out_of_order_are_sorted_and_equal_times_keep_theirs(trace):
    path = trace(table([30, 10], pids=[1, 2]), table([10, 20, 5], pids=[3, 4, 5]))
    _, (block,) = read(path, "pid")
    assert block.time_ns.tolist() == [5, 10, 10, 20, 30]
    assert block.pid.tolist() == [5, 2, 3, 4, 1]


def test_a_folder_with_glob_characters_is_a_folder(tmp_path):
    folder = tmp_path / "a*[b]'?\""
    folder.mkdir()
    store.write([table([2, 1])], folder / "t.parquet")
    assert read(folder / "t.parquet")[0].events == 2
    assert [p.name for p in folder.iterdir()] == ["t.parquet"]


def test_row_groups_have_one_size_whatever_comes_in(trace, monkeypatch):
    monkeypatch.setattr(store, "GROUP_ROWS", 10)
    path = trace(*(table(numpy.arange(7) + 7 * k) for k in range(5)))
    _, blocks = read(path)
    assert [len(block.time_ns) for block in blocks] == [10, 10, 10, 5]
    assert [block.number for block in blocks] == [0, 1, 2, 3]
    assert numpy.concatenate([block.time_ns for block in blocks]).tolist() == list(range(35))


def test_no_more_than_three_blocks_are_in_memory(trace, monkeypatch):
    """One in use, one ready, one being decoded: the reader does not run ahead."""
    monkeypatch.setattr(store, "GROUP_ROWS", 10)
    path = trace(table(numpy.arange(1000)))
    decoded = []
    real = store._block
    monkeypatch.setattr(store, "_block", lambda number, *rest: decoded.append(number) or real(number, *rest))
    footer = store.footer_of(path)
    furthest = 0
    for block in store.blocks(path, footer):
        furthest = max(furthest, max(decoded) - block.number)
    assert len(decoded) == 100 and furthest <= 3


def test_a_reader_that_stops_early_ends_its_thread(trace, monkeypatch):
    import threading

    monkeypatch.setattr(store, "GROUP_ROWS", 10)
    path = trace(table(numpy.arange(1000)))
    before = threading.active_count()
    blocks = store.blocks(path, store.footer_of(path))
    next(blocks)
    blocks.close()
    assert threading.active_count() == before


def test_nothing_is_left_of_a_failed_import(tmp_path):
    target = tmp_path / "t.parquet"
    target.write_bytes(b"before")

    def broken():
        yield table([1, 2])
        raise BadInput("stop")

    with pytest.raises(BadInput):
        store.write(broken(), target)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"] and target.read_bytes() == b"before"


def test_no_events_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no event"):
        store.write([], tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())


def test_too_long_a_trace_is_refused(tmp_path):
    with pytest.raises(BadInput, match="104 days"):
        store.write([table([0, 2**53 + 1])], tmp_path / "t.parquet")


def test_too_many_names_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_TASKS", 3)
    with pytest.raises(BadInput, match="more than 3 task names"):
        store.write([table(range(4), ["a", "b", "c", "d"])], tmp_path / "t.parquet")


def test_only_what_import_wrote_is_a_trace(tmp_path, trace):
    other = tmp_path / "other.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"t_ns": [1]}), other)
    text = tmp_path / "text.parquet"
    text.write_text("PAR1 no")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(trace(table([1])).read_bytes()[:-20])
    for path in (other, text, cut):
        with pytest.raises(BadInput, match="is no trace"):
            store.footer_of(path)


@pytest.mark.parametrize("stored", ["{}", "[]", "null", '{"events": 9}', '{"what": 1}', "no json"])
def test_a_footer_that_lies_is_refused(tmp_path, stored):
    path = tmp_path / "t.parquet"
    kept = table([1, 2]).schema.with_metadata({store.FOOTER: stored.encode()})
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([table([1, 2])]).cast(kept), path)
    with pytest.raises(BadInput):
        store.footer_of(path)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.text(max_size=8), st.integers(1, 10**9)), min_size=1, max_size=30))
def test_any_name_survives(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    rows = [(t, name.encode("utf-8", "replace").decode(), length) for t, name, length in rows]
    times, names, lengths = zip(*rows, strict=True)
    store.write([table(times, list(names), lengths=lengths)], path)
    footer, (block,) = read(path, "task")
    known = list(footer.tasks)
    found = zip(block.time_ns.tolist(), [known[k] for k in block.task], (block.end - block.start).tolist(), strict=True)
    assert list(found) == sorted(rows, key=lambda row: row[0])


def test_importing_again_changes_nothing(tmp_path, trace):
    path = trace(table([1, 2, 3], ["a", "b", "a"], [7, 8, 7]))
    again = tmp_path / "again.parquet"
    store.write(reader.batches(path, reader.Notes()), again)
    assert pyarrow.parquet.read_table(again).equals(pyarrow.parquet.read_table(path))
    assert json.loads(pyarrow.parquet.read_metadata(again).metadata[store.FOOTER])["events"] == 3


def forged(path, batch, group=2**20, **footer):
    """A file with the footer of an import and other contents."""
    told = {"events": len(batch), "first_ns": 0, "last_ns": 100, "tasks": {"ksmd": len(batch)}, **footer}
    kept = batch.schema.with_metadata({store.FOOTER: json.dumps(told).encode()})
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([batch]).cast(kept), path, row_group_size=group)
    return path


def changed(name, values):
    batch = table([1, 2, 3], pids=[1, 2, 3])
    at = batch.schema.get_field_index(name)
    return batch.set_column(at, batch.schema.field(at), pyarrow.array(values, batch.schema.field(at).type))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t_ns", [3, 2, 1]),
        ("t_ns", [1, 2, 101]),
        ("t_ns", [-5, 2, 3]),
        ("pid", [1, 2, 2**22]),
        ("pid", [1, -7, 3]),
        ("end", [0, 0, 0]),
        ("start", [0, -(2**63), 0]),
    ],
)
def test_a_forged_trace_never_reaches_the_compiled_loops(tmp_path, name, values):
    path = forged(tmp_path / "t.parquet", changed(name, values))
    with pytest.raises(BadInput, match="is not what `trace import` writes"):
        read(path, "task", "pid")


def test_a_name_or_a_block_that_the_footer_does_not_know_is_refused(tmp_path, monkeypatch):
    path = forged(tmp_path / "t.parquet", table([1, 2]), tasks={"other": 2})
    with pytest.raises(BadInput, match="cannot be read"):
        read(path, "task", "pid")
    monkeypatch.setattr(store, "GROUP_ROWS", 1)
    with pytest.raises(BadInput, match="is not what"):
        read(forged(tmp_path / "u.parquet", table([1, 2])), "task", "pid")


@pytest.mark.parametrize(
    "footer",
    [
        {"tasks": {}},
        {"tasks": [1]},
        {"last_ns": 2**60},
        {"last_ns": -1},
        {"events": "2"},
        {"tasks": {"ksmd": [2]}},
        {"tasks": {"ksmd": -2}},
        {"tasks": {"ksmd": 1}},
        {"with_vm": 3},
        {"without_pid": -1},
        {"lost_events": -1},
        {"lost_events": 1.5},
        {"lost_events": None},
    ],
)
def test_a_footer_with_other_types_is_refused(tmp_path, footer):
    with pytest.raises(BadInput):
        store.footer_of(forged(tmp_path / "t.parquet", table([1, 2]), **footer))


def test_a_file_that_is_cut_while_it_is_read_is_refused(trace):
    path = trace(table([1, 2]))
    footer = store.footer_of(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="cannot be read"):
        list(store.blocks(path, footer))


def test_a_column_of_another_type_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "t.parquet"
    store.write([table([1, 2])], path)
    found = pyarrow.parquet.read_table(path)
    metadata = found.schema.metadata
    for name, values in (("t_ns", ["a", "b"]), ("start", [0.5, 1.5]), ("pid", [[1], [2]])):
        at = found.column_names.index(name)
        forged = found.set_column(at, name, pyarrow.array(values)).replace_schema_metadata(metadata)
        pyarrow.parquet.write_table(forged, path)
        with pytest.raises(BadInput, match="is no trace in the form of"):
            store.footer_of(path)


def test_a_damaged_page_is_refused_by_its_checksum(tmp_path):
    path = tmp_path / "t.parquet"
    store.write([table(range(1000), pids=list(range(1000)))], path)
    footer, content = store.footer_of(path), path.read_bytes()
    for at in range(200, 2000, 100):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        with pytest.raises(BadInput):
            list(store.blocks(path, footer, ["task", "pid"]))


NUMA, UNMAP = "autonuma_prot_none_scan", "munmap_or_discard"


def test_the_triggers_that_call_chains_told_are_kept_by_event_and_by_task(trace):
    told = [NUMA, None, UNMAP, NUMA]
    path = trace(table([1, 2, 3, 4], ["a", "a", "b", "a"], trigger=told), table([5], ["b"]))
    footer, (block,) = read(path, "task", "trigger")
    assert footer.triggers == {"a": {NUMA: 2, "": 1}, "b": {UNMAP: 1, "": 1}}
    assert footer.groups == {("a", NUMA): 2, ("a", ""): 1, ("b", UNMAP): 1, ("b", ""): 1}
    assert [list(footer.groups)[at] for at in block.group] == [
        ("a", NUMA),
        ("a", ""),
        ("b", UNMAP),
        ("a", NUMA),
        ("b", ""),
    ]
    assert pyarrow.parquet.read_table(path).column("trigger").to_pylist() == [*told, None]


def test_without_call_chains_each_task_is_a_group(trace):
    footer, (block,) = read(trace(table([1, 2], ["a", "b"])), "task")
    assert (footer.triggers, footer.groups) == ({}, {("a", ""): 1, ("b", ""): 1}) and block.group is None


def test_a_trigger_that_nobody_knows_is_refused(trace):
    with pytest.raises(BadInput, match="field trigger: 'scan' is no trigger"):
        trace(table([1], trigger=["scan"]))


@pytest.mark.parametrize(
    "footer",
    [
        {"triggers": {"ksmd": {NUMA: 1}}},
        {"triggers": {"ksmd": {"scan": 2}}},
        {"triggers": {"other": {NUMA: 2}}},
        {"triggers": [NUMA]},
        {"remarks": "x"},
        {"remarks": [1]},
    ],
)
def test_a_footer_with_triggers_that_do_not_add_up_is_refused(tmp_path, footer):
    with pytest.raises(BadInput):
        store.footer_of(forged(tmp_path / "t.parquet", table([1, 2]), **footer))
