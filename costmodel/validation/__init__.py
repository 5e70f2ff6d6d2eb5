"""Whether the model is right.

In come the same evidence and costs that a recommendation rests on, observations that were kept apart, and committed
results of the simulator and of certified regressions; out go rows of a scoreboard (predicted, seen, verdict, why) and
findings of an audit. Something that others saw goes into data/ and `observed`, a claim of the thread into `thread`, a
decision of upstream into `upstream`, a check of data/ into `audit`; a new section is listed in
`scoreboard.SECTIONS`; its title and what a row says in words stand in report/scoreboard.py, words of findings in
report/audit.py.
"""
