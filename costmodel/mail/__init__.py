"""Mails of a kernel list: read one, quote the lines that are answered, write the reply."""
