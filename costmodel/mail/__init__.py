"""Mails of a kernel list.

In comes a mail or a page of an archive, and the answers of decision; out goes a reply that quotes the lines which it
answers, with one table below them. Another way to attribute or quote belongs in `authors`, another form of input in
`read`; how a question is recognised in `question`, and what answers it in `reply` (the words and the table of the answer
are those of costmodel.report.reply_text). Each comes with an example in tests/mail/fixtures.
"""
