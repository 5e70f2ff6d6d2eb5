"""Answers as sentences, tables, plots and pages.

In come the facts of decision, which hold no prose; out go records with their sentences (`record`, `versus`,
`alternatives`), text of 72 columns, JSON, seaborn plots and HTML pages that papermill makes from notebooks/. A sentence
belongs in the module of its subject (`sentences`, `advice`, `tables`, `waits`), a layout in that of its answer
(`recommendation`, `versus`, `trace`), a plot in `plots`, a reply in `reply_text` (`block` for --full), a section of the
page in `page` with its template in templates/, and one of its four parts also in `api.cases.SECTIONS` and the notebook;
what an axis or a strategy is called, and as what a kernel was taken, in `names`; what the audit finds in `audit`, what
measuring commands and `host` say in `measurement`.
"""
