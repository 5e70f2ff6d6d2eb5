"""Answers as sentences, tables, plots and pages.

In come the facts of decision, traces and validation, which hold no prose; out go records with their sentences (`record`,
`versus`, `alternatives`, `replayed`), text of 72 columns, JSON, seaborn plots and HTML pages that papermill makes from
notebooks/. A sentence belongs in the module of its subject (`sentences`, `advice`, `tables`, `waits`), a layout in that of its
answer (`answer` for the first screen, `recommendation` for --full, `versus`, `trace`, `fleet`, `scoreboard`), a plot in `plots`,
a reply in `reply_text` (`block` for --full).

A page has four parts, which the notebook asks for by the names of `api.cases.SECTIONS`: `answer`, `change`, `contention`
and `evidence`. A section is a function with a template in templates/, beside the function of the part that it belongs to and
called there; another part is listed in SECTIONS and gets a cell of notebooks/flush_strategy.ipynb. What recalculates in the
page is in `live`. What an axis or a strategy is called, and as what a kernel was taken, is in `names`; what the audit finds
in `audit`; what measuring commands and `host` say in `measurement`.
"""
