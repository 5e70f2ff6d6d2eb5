"""The result of a replay: what `trace replay --json` prints and what a report shows. SI units; intervals of 90 %."""

from __future__ import annotations

from costmodel.decision.result import Frozen, Interval


class TaskRow(Frozen):
    """Events of a task name and the triggers that they can stand for: by their call chains, else by the name."""

    task: str
    events: int
    triggers: list[str]
    decided: bool
    why: str


class StrategyRow(Frozen):
    """A strategy at the events of the trace; `from_kernel` is the first later kernel that has what it lacks in this one."""

    strategy: str
    state: str
    running: bool
    reason: str
    from_kernel: str | None = None


class Episode(Frozen):
    """Flushes without a gap in which at least ten stood in line: start from the first event of the trace, length."""

    start_s: float
    length_s: float
    events: int


class Experience(Frozen):
    """What the events meet if threads wait for their flushes (closed) or not (open).

    `behind_s`: closed, how far the slowest thread is behind the recording at its end; open, how long the line of flushes
    takes after the last event. `events_in_time`: done by the end of the recorded time. `host_fraction`: share of all
    CPU time of the host over the time that the replay takes.
    """

    arrivals: str
    p50_s: Interval
    p99_s: Interval
    p999_s: Interval
    longest_s: float
    in_progress_fraction: Interval
    host_fraction: Interval
    behind_s: Interval
    events_in_time: int | None
    slowest_thread: str
    aligned_s: float
    episodes: int
    episode_events: int
    episodes_s: float
    longest_episodes: list[Episode]


class Prediction(Frozen):
    """Closed forms for independent arrivals at the mean rate, at the median cost; null where they have no answer.

    `p99_is_lower_bound`: the quantile lies beyond one flush of waiting, where the form ends.
    """

    load: float
    mean_s: float | None
    p50_s: float | None
    p99_s: float | None
    p99_is_lower_bound: bool
    in_progress_fraction: float


class WayRow(Frozen):
    """Strategies of one cost. `serial`: whole caches, events wait in line for the same CPUs."""

    strategies: list[StrategyRow]
    serial: bool
    event_time_s: Interval
    cpu_s: Interval
    cpu_s_per_event: Interval
    closed: Experience | None
    open: Experience
    predicted: Prediction


class BreakEven(Frozen):
    """A range flush against a whole-cache flush, on the recorded lengths. Beyond `cap_cpu_bytes` the whole cache takes
    less CPU time, beyond `cap_time_bytes` its flush is over sooner; null where they never meet. `hybrid_cpu_s`: CPU time
    of the trace if each event takes the cheaper one.
    """

    ranged: list[str]
    whole: list[str]
    cap_cpu_bytes: Interval | None
    cap_time_bytes: Interval | None
    events_beyond_cap: int
    mean_range_bytes: float
    hybrid_cpu_s: Interval
    ranged_cpu_s: Interval
    whole_cpu_s: Interval
    saturation_rate_per_s: Interval


class Dispersion(Frozen):
    """Index of dispersion of the counts in windows of `window_s` (1: independent arrivals), and the fullest window."""

    window_s: float
    index: float | None
    most: int


class Replay(Frozen):
    """A trace under every strategy of a guest type on a machine. `events` were replayed, `outside` meet no memslot,
    at least `lost_events` more are missing from the recording;
    `bound` says what is not known about that; `headline` what the kernel does with it. `sampled_events`: events of the pieces behind the 90 % intervals.
    `own_gap_*`: between a thread's own events, its think time where the recorded host did not flush; null of single events.
    """

    file: str
    guest: str
    guest_title: str
    machine: str
    machine_title: str
    workload: str
    kernel: str
    arrivals: str
    events: int
    outside: int
    lost_events: int
    bound: str
    headline: str
    span_s: float
    rate_per_s: float | None
    threads: int
    own_gap_p50_s: float | None
    own_gap_p99_s: float | None
    gap_variation: float | None
    dispersion: list[Dispersion]
    range_mean_bytes: float
    range_p50_bytes: float
    range_p99_bytes: float
    tasks: list[TaskRow]
    ways: list[WayRow]
    refused: dict[str, str]
    without_flush: list[StrategyRow]
    break_evens: list[BreakEven]
    not_decidable: list[str]
    notes: list[str]
    sampled_events: int
    command: str
    costmodel_version: str
    data_hash: str
    asked_hash: str
