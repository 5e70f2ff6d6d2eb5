import pytest

from costmodel.report import page, sections
from costmodel.report.live import live

GUESTS = ("sev", "sev-es", "sev-snp", "sev-snp-gmem", "tdx", "plain")
MACHINES = ("epyc-7763-2s", "xeon-8570-2s")
HOSTILE = "<script>alert(1)</script>\nSubject: x\x1b[31m=cmd"


@pytest.fixture(scope="session")
def hostile(answer):
    """The answer for SEV with an attack in every text that comes from data."""
    result = answer("sev")
    policy = [entry.model_copy(update={"reason": HOSTILE, "trigger_title": HOSTILE}) for entry in result.policy]
    rows = [row.model_copy(update={"reason": HOSTILE, "source": HOSTILE}) for row in result.costs]
    sources = [row.model_copy(update={"title": HOSTILE, "locator": HOSTILE}) for row in result.sources]
    return result.model_copy(
        update={
            "guest_title": HOSTILE,
            "machine_title": HOSTILE,
            "workload_title": HOSTILE,
            "headline": HOSTILE,
            "warnings": [HOSTILE, "From here", ".", "> quoted"],
            "gaps": [HOSTILE],
            "assumptions": [HOSTILE],
            "policy": policy,
            "costs": rows,
            "sources": sources,
        }
    )


@pytest.fixture(scope="session")
def whole():
    """The page of a result, put together without a kernel from the fragments that the notebook shows; that of the same
    object once.
    """
    made = {}

    def assemble(result):
        if id(result) not in made:
            made[id(result)] = result, put_together(result)
        return made[id(result)][1]

    def put_together(result):
        parts = [
            sections.answer(result),
            sections.change(result),
            sections.contention(result),
            sections.evidence(result),
        ]
        return page.page(f"{result.guest} on {result.machine}", "\n".join(parts), "../index.html", live(result))

    return assemble


@pytest.fixture(scope="session")
def sev_page(answer, whole):
    return whole(answer("sev"))
