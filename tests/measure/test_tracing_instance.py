"""The tracing instance: what is missing is said; what tracefs refuses is said."""

import pytest

from costmodel.measure import invalidations
from costmodel.measure.journal import Signals, changing
from costmodel.measure.probe import Skipped
from tests.measure.false_kernel import FalseSystem, contents, tree


def leave(system):
    """The block may change the false tree."""
    return changing(Signals(), system)


def test_without_the_tracepoint_it_says_so(tmp_path):
    with leave(FalseSystem(tree(tmp_path / "root"))) as changes, pytest.raises(Skipped, match="kvm_unmap_hva_range"):
        invalidations.Trace(tmp_path, changes)


def test_where_tracefs_cannot_be_mounted_it_says_so_and_leaves_nothing(tmp_path):
    class Refusing(FalseSystem):
        def run(self, *words):
            return "mount: permission denied"

    root = tree(tmp_path / "root", mounted=False)
    before = contents(root)
    with leave(Refusing(root)) as changes, pytest.raises(Skipped, match="permission denied"):
        invalidations.tracing_folder(changes)
    assert contents(root) == before


@pytest.mark.parametrize("mounted", [True, False])
def test_the_event_is_on_in_an_instance_of_our_own(tmp_path, mounted):
    root = tree(tmp_path / "root", mounted)
    with leave(FalseSystem(root)) as changes:
        tracing = invalidations.tracing_folder(changes)
        trace = invalidations.Trace(tracing, changes)
        (ours,) = tracing.glob("instances/costmodel-*")
        assert (ours / f"events/kvm/{invalidations.EVENT}/enable").read_text() == "1"
        assert (ours / "trace_clock").read_text() == "mono"
        assert (tracing / f"events/kvm/{invalidations.EVENT}/enable").read_text() == "0\n"
        assert trace.read() == ([], 0)


def test_an_instance_that_cannot_be_set_up_is_named(tmp_path):
    class Full(FalseSystem):
        def write(self, path, text):
            if path.name == "buffer_size_kb":
                raise OSError(12, "Cannot allocate memory", str(path))
            super().write(path, text)

    root = tree(tmp_path / "root")
    before = contents(root)
    with leave(Full(root)) as changes, pytest.raises(Skipped, match="buffer_size_kb: Cannot allocate memory"):
        invalidations.Trace(invalidations.tracing_folder(changes), changes)
    assert contents(root) == before
