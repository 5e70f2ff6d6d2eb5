"""Mails of a kernel list: read them, tell who wrote which line, quote the lines that are answered, write the reply."""
