"""Answers as sentences, tables, plots and pages.

In come recommendations, comparisons and summaries, which hold fields and no prose; out go text of 72 columns, JSON,
seaborn plots and HTML pages that papermill makes from notebooks/. A sentence belongs in the module of its answer
(`recommendation`, `versus`, `waits`, `trace`), a plot in `plots`, a section of the page in `page` with its template
in templates/.
"""
