"""Foreign text made plain: nothing in it acts on a terminal, a spreadsheet or a shell."""

import shlex
import subprocess
import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.plain import UNSEEN, csv_cell, file_argument, quoted_words, shell_line, shell_word, visible
from tests.samples import examples

HOSTILE = st.text(
    st.one_of(
        st.characters(codec="utf-8"), st.sampled_from("\u202e\u2028\u2066\x1b\x00\r\n\t=+-@ '\"`$()\\;|&<>*?~#!")
    ),
    max_size=40,
)
NAMES = HOSTILE.map(lambda text: text.replace("\0", ""))


@given(HOSTILE)
def test_what_is_shown_prints_and_only_escapes_differ(text):
    shown = visible(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


@given(HOSTILE)
def test_a_cell_is_shown_and_is_no_formula(text):
    cell = csv_cell(text)
    assert cell.isprintable() and cell.lstrip()[:1] not in ("=", "@")
    if cell[:1] in ("+", "-"):
        float(cell)


@settings(max_examples=examples(60))
@given(st.lists(NAMES, min_size=1, max_size=4))
def test_bash_reads_the_words_back(words):
    line = shell_line(words)
    assert line.isascii() and line.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] == words


@given(NAMES)
def test_plain_words_are_what_shlex_makes(word):
    if word.isascii() and word.isprintable():
        assert shell_word(word) == shlex.quote(word)


def test_a_file_is_never_an_option():
    assert file_argument("--out=x") == "./--out=x" and file_argument("a") == "a"


def test_every_character_that_acts_unseen_is_known():
    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(code))
        if kind in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co") and chr(code) not in "\t\n":
            assert UNSEEN.fullmatch(chr(code)), hex(code)
    assert not UNSEEN.search(
        "".join(chr(code) for code in range(32, 127)) + "\t\n\u00a0\u00e9\u2212\N{EN DASH}\N{PILE OF POO}"
    )


@given(st.lists(NAMES.filter(bool), min_size=1, max_size=4))
def test_quoted_words_are_the_words(words):
    assert quoted_words(shell_line(words)) == [shell_word(word) for word in words]
    assert quoted_words(shlex.join(words)) == [shell_word(word) for word in words]
