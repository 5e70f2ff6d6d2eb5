"""Whether the model is right.

In come the same evidence and costs that a recommendation rests on, observations that were kept apart, and committed
results of the simulator and of certified regressions; out go rows of a scoreboard (predicted, seen, verdict, why) and
findings of an audit. Something that others saw goes into data/ and `observed`. A claim of the thread is an entry of
data/validation/claims.toml, and what works its number out stands in `thread`. A decision of upstream is a row of
data/kvm/upstream_decisions.csv, and where the model decides otherwise, an entry of data/validation/disagreements.toml says
why; `upstream` replays them. A check of data/ goes into `audit`. A new section is listed in `scoreboard.SECTIONS`; its title
and what a row says in words stand in report/scoreboard.py, words of findings in report/audit.py.
"""
