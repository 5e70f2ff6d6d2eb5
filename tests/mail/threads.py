"""Threads of mails whose authors are known line by line, written as mailers write them, and a reader of the replies.

Every line of a message begins with a word that only its author uses, so that whoever finds it anywhere knows whose it
is.
"""

import re
from dataclasses import dataclass, field

PEOPLE = {
    "Ann Aalto": "ann@example.com",
    "Bob Brandt": "bob@example.com",
    "Cat Çelik": "cat@example.com",
    "Dan Dvořák": "dan@example.com",
    "Eve Ежова": "eve@example.com",
    "山田 太郎": "taro@example.com",
}
WORD = re.compile(r"w(\d)\w*")
TODAY = "Fri, 11 Aug 2023 11:45:00 +0000"
FORMS = (
    ("On Fri, Aug 11, 2023 at 11:45 AM {n} <{a}> wrote:",),
    ("On Fri, Aug 11, 2023 at 11:45 AM {n}", "<{a}> wrote:"),
    ("On 8/11/2023 11:45 AM, {n} via lists", "wrote:"),
    ("Am 11.08.23 um 11:45 schrieb {n}:",),
    ("Le ven. 11 août 2023 à 11:45, {n} <{a}> a écrit :",),
    ("El vie, 11 ago 2023 a las 11:45, {n} (<{a}>) escribió:",),
    ("Em sex., 11 de ago. de 2023 às 11:45, {n} <{a}> escreveu:",),
    ("Il giorno ven 11 ago 2023 alle ore 11:45 {n} <{a}> ha", "scritto:"),
    ("pt., 11 sie 2023 o 11:45 {n} <{a}> napisał(a):",),
    ("11.08.2023 11:45, {n} пишет:",),
    ("{n} <{a}> 于2023年8月11日周五 11:45写道：",),
    ("2023年8月11日(金) 11:45 {n} <{a}>:",),
    ("2023년 8월 11일 (금) 오전 11:45, {n} <{a}>님이 작성:",),
    ("في الجمعة، ١١ أغسطس ٢٠٢٣ في ١١:٤٥ ص تمت كتابة ما يلي بواسطة {n} <{a}>:",),
    ("* {n} <{a}> wrote:",),
    ("Quoting {n} (2023-08-11 11:45:00)",),
    ("{n} <{a}> writes:",),
    ("+++ {n} [11/08/23 11:45 +0200]:",),
)
HEADS = (
    ("-----Original Message-----", "From: {n} <{a}>", "Sent: Friday, August 11, 2023 12:55 PM", "To: List <list@example.org>", "Subject: x"),
    ("________________________________", "Von: {n} <{a}>", "Gesendet: Freitag, 11. August 2023 12:55", "An: list@example.org", "Betreff: x"),
    ("---------- Forwarded message ---------", "From: {n} <{a}>", "Date: Fri, Aug 11, 2023", "Subject: x", "To: <list@example.org>"),
    ("Begin forwarded message:", "", "From: {n} <{a}>", "Subject: x", "Date: 11 August 2023 at 11:45:00 CEST", "To: list@example.org"),
    ("-------- Weitergeleitete Nachricht --------", "Betreff: x", "Datum: Fri, 11 Aug 2023 11:45:00 +0000", "Von: {n} <{a}>", "An: list@example.org"),
    ("发件人: {n} <{a}>", "发送时间: 2023年8月11日 11:45", "收件人: list@example.org", "主题: x"),
    ("De : {n} <{a}>", "Envoyé : vendredi 11 août 2023 12:55", "À : list@example.org", "Objet : x"),
)  # fmt: skip
ASIDES = (
    "",
    " {n}, see below:",
    " and so on.",
    " as {n} said",
    " in 2023:",
    " I think so, too",
    " it is 11:45:00 now",
    ":",
)


@dataclass
class Message:
    """A mail: its author's place in PEOPLE, and its body."""

    author: int
    lines: list[str] = field(default_factory=list)

    @property
    def name(self):
        return list(PEOPLE)[self.author]

    def raw(self):
        to = ", ".join(f"{name} <{where}>" for name, where in PEOPLE.items())
        head = f"From: {self.name} <{PEOPLE[self.name]}>\nTo: {to}\nSubject: Re: x\nDate: {TODAY}\nMessage-ID: <1@example.com>\n"
        head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
        return (head + "\n" + "\n".join(self.lines) + "\n").encode()


def own(random, author, asides=True):
    """One to three lines of an author."""
    found = []
    for _ in range(random.randint(1, 3)):
        words = " ".join(f"w{author}{random.choice('abcdefgh')}" for _ in range(random.randint(2, 22)))
        aside = random.choice(ASIDES).format(n=random.choice(list(PEOPLE))) if asides and random.random() < 0.3 else ""
        found.append((words if random.random() < 0.3 else f"W{words[1:]}") + aside)
    return found


def marked(line, random):
    return (">" if line.startswith(">") and random.random() < 0.7 else "> ") + line if line else ">"


def goes_on(lines, at):
    """Whether the line at `at` may be the rest of the one before it: nothing is cut out or put in between."""
    return at < len(lines) and lines[at].strip("> ")[:1].islower()


def rewrapped(lines, width=78):
    """What a mailer does that wraps what it quotes without marking the rest of the line."""
    found = []
    for line in lines:
        if len(line) <= width or " " not in line[20:width]:
            found.append(line)
            continue
        at = line.rindex(" ", 0, width)
        words = WORD.search(line.lower())
        found += [line[:at], line[at + 1 :]] if not words or WORD.match(line[at + 1 :].lower()) else [line]
    return found


def answer(random, parent, author, styles, asides):
    """A mail that answers `parent` in one of the styles of mailers."""
    name, where = parent.name, PEOPLE[parent.name]
    style = random.choice(styles)
    fill = {"n": name, "a": where}
    attribution = [part.format(**fill) for part in random.choice(FORMS)]
    quoted = list(parent.lines)
    while quoted and not quoted[0].strip():
        del quoted[0]
    if random.random() < 0.3 and len(quoted) > 4:
        cut = random.randrange(1, len(quoted) - 2)
        if all(WORD.search(line.lower()) for line in quoted[cut - 1 : cut + 2]) and not goes_on(quoted, cut + 2):
            quoted = quoted[:cut] + random.choice([[], ["[...]"], [""]]) + quoted[cut + 2 :]
    begins_with_a_quote = next(line for line in parent.lines if line).startswith(">")
    own_lines = own(random, author, asides)
    if style == "headers":
        head = [part.format(**fill) for part in random.choice(HEADS)]
        return Message(author, [*own_lines, "", *head, "", *parent.lines])
    if style == "unmarked" and not begins_with_a_quote:
        return Message(author, [*own_lines, "", *attribution, "", *parent.lines])
    if style == "inner" and not begins_with_a_quote:
        return Message(author, [*own_lines, "", *(marked(line, random) for line in [*attribution, "", *quoted])])
    marks = [marked(line, random) for line in quoted]
    if style == "interleaved":
        words = [at for at, line in enumerate(quoted, 1) if WORD.search(line.lower()) and not goes_on(quoted, at)]
        for at in sorted(random.sample(words, min(len(words), random.randint(1, 3))), reverse=True):
            marks[at:at] = [*random.choice([[], [""]]), *own(random, author, asides), *random.choice([[], [""]])]
    if style == "broken":
        marks = rewrapped(marks)
    if style == "bare":
        attribution = []
    block = [*attribution, *random.choice([[], [""]]), *marks]
    top = [*own_lines, ""] if random.random() < 0.4 else []
    bottom = [*random.choice([[], [""]]), *own(random, author, asides)] if style != "interleaved" else []
    return Message(author, [*top, *block, *bottom])


STYLES = ("plain", "plain", "interleaved", "inner", "headers", "unmarked", "broken", "bare")


def thread(random, styles=STYLES, asides=True):
    """The last mail of a thread of two to five."""
    author = random.randrange(len(PEOPLE))
    message = Message(author, [*own(random, author, asides), "", *own(random, author, asides)])
    for _ in range(random.randint(1, 4)):
        author = random.choice([one for one in range(len(PEOPLE)) if one != message.author])
        message = answer(random, message, author, styles, asides)
    return message


def misattributed(shown, sender):
    """Lines of a reply that stand under a name that is not their author's, as somebody reads who trusts the marks.

    Words with one mark are the sender's. Lines that are nobody's words name whoever wrote the deeper lines that follow,
    or the equally deep ones if none is deeper, until others do. Words below `[...:]` at the same depth are nobody's.
    """
    names, naming, doubt, wrong = {0: sender}, [], None, []
    for line in shown:
        marks = re.match(r"(?:> ?)*", line).group()
        depth, text = marks.count(">") - 1, line[len(marks) :]
        found = WORD.search(text.lower())
        if not text:
            continue
        if re.fullmatch(r"\[.*:\]", text):
            doubt = depth
        elif not found and text != "[...]":
            doubt = None
            naming.append((depth, text))
        else:
            for deep in sorted({deep for deep, _ in naming if deep <= depth - (not found)}):
                *inner, last = re.split(
                    r"(?<=[:：])\n|(?<=00\))\n", "\n".join(said for one, said in naming if one == deep)
                )
                for level, said in [*((deep, one) for one in inner), (min(deep + 1, depth), last)]:
                    names = {one: name for one, name in names.items() if one < level}
                    names[level] = next((name for name in PEOPLE if name in said), said)
                if depth > deep + 1:
                    names.setdefault(deep, names[deep + 1])
                naming = [(one, said) for one, said in naming if one != deep]
            if found:
                naming = [(one, said) for one, said in naming if one > depth]
            doubt = doubt if doubt == depth else None
            if found and doubt is None and names.get(depth) != list(PEOPLE)[int(found[1])]:
                wrong.append((names.get(depth), line))
    return wrong
