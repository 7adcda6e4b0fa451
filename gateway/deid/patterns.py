"""Forms that identify whatever words they are made of: dates, times, telephone numbers, addresses on the network.

Every number of four digits and more that is no measurement goes anyway, and so does every word of letters and digits
that is no term (``gateway.deid.clean``); here is what is made of shorter parts. Identity documents (DNI, NIE and the
like) need no form of their own for that reason, whether their check letter is right or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["abbreviations", "is_technical", "spans", "windows"]

_MONTH: Final = (
    r"(?:ene(?:ro)?|jan(?:uary|uar|vier)?|feb(?:rero|ruary|ruar)?|fev(?:rier)?|mar(?:zo|ch|s)?|m[aä]rz|apr(?:il)?|abr(?:il)?|"
    r"avril|may(?:o)?|mai(?:g)?|jun(?:io|e|i|y)?|juin|jul(?:io|y|i|iol)?|juillet|ago(?:sto|st)?|aug(?:ust)?|ao[uû]t|"
    r"sep(?:t(?:iembre|ember|embre)?)?|set(?:iembre|embre)?|o[ck]t(?:ubre|ober|obre)?|nov(?:iembre|ember|embre)?|"
    r"di[cz](?:iembre|embre)?|dez(?:ember)?|dec(?:ember|embre)?|d[eé]cembre|gen(?:er)?)"
)
_WHO: Final = (
    r"(?:pt|pte|pat|pac|paciente|patient|patientin|paziente|utente|woman|man|lady|gentleman|female|male|femme|homme|mujer|hombre|"
    r"varon|muj|masc|fem|dona|home|mulher|homem|donna|uomo|frau|mann|vrouw|man|hembra)"
)
#: What stands behind a time of day.
_HALF: Final = r"[ap](?:\.\s?)?m\b\.?"
_CLOCK: Final = r"(?:h|hrs|hs|horas|uhr|uur)\b"
_YEAR: Final = r"(?:1[89]|20)\d\d"
_ROMAN: Final = r"(?:xi{0,2}|ix|iv|vi{0,3}|i{1,3})"

#: Digits in words.
_DIGIT: Final = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|un|quatre|"
    r"cinc|sis|set|vuit|nou|deux|trois|cinq|sept|huit|neuf|um|dois|quatro|sete|oito|nove|null|eins|zwei|drei|vier|f[uü]nf|"
    r"sechs|sieben|acht|neun|due|tre|quattro|cinque|sei|sette|otto|nul|een|twee|drie|vijf|zes|zeven|negen)"
)

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # addresses on the network: URLs, electronic mail, hosts
        r"\b[a-z][a-z0-9+.-]{0,20}://\S+",
        r"\bwww\.\S+",
        r"[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)*",
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
        # UIDs
        r"\b[0-2](?:\.\d+){3,}",
        # dates: 2019-03-12, 12/03/2019, 12.3.19, 03/2019, 12/03, 12-MAR-19, 3 de marzo de 2019, March 3rd, 2019
        rf"(?<!\d){_YEAR}\s?[-/.\s_]\s?[01]?\d\s?[-/.\s_]\s?[0-3]?\d(?!\d)",
        r"(?<![\d.,])[0-3]?\d\s?([-/._])\s?[01]?\d\s?\1\s?(?:\d\d){1,2}(?!\d)",
        r"(?<![\d.,])[01]?\d\s?([-/._])\s?[0-3]?\d\s?\1\s?(?:\d\d){1,2}(?!\d)",
        r"(?<!\d)[0-3]?\d\s+de\s+[01]?\d\s+del?\s+(?:\d\d){1,2}(?!\d)",
        rf"(?<!\d)[01]?\d\s?[-/]\s?{_YEAR}(?!\d)",
        # a day with its points, 03.05., and a week of a year, 2024-W12
        r"(?<![\d.,])(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.(?!\d)",
        rf"(?<!\d){_YEAR}[\s._-]?W[0-5]\d(?!\d)",
        r"(?<![\d/])[0-3]\d/[01]\d(?![\d/])",
        rf"\b[0-3]?\d(?:st|nd|rd|th|[ºª])?[\s._/-]*(?:de\s+|of\s+)?{_MONTH}\b\.?(?:[\s._,/-]*(?:del?\s+)?(?:{_YEAR}|\d\d)\b)?",
        rf"\b{_MONTH}\b\.?[\s._/-]*[0-3]?\d(?:st|nd|rd|th)?\b(?:[\s._,/-]*{_YEAR}\b)?",
        rf"\b{_MONTH}\b\.?[\s._,/'-]*(?:del?\s+)?(?:{_YEAR}|'?\d\d)\b",
        # with the month as a Roman number: 27.IV.1931, 12-XI-58, 12 II 1958
        rf"(?<![\w.])[0-3]?\d\s?([-/.])\s?{_ROMAN}\s?\1\s?(?:\d\d){{1,2}}(?!\d)",
        rf"(?<![\w.])[0-3]?\d\s{_ROMAN}\s{_YEAR}(?!\d)",
        # a word whose letters stand apart: Z_A_B_A_L, A-N-N-A
        r"(?<![^\W_])[^\W\d_]([_-])[^\W\d_](?:\1[^\W\d_]){2,}(?![^\W_])",
        # times: 12:30, 12:30:15, 14 : 30, 9.30 h, 0930 h, 14,30 Uhr, 14h30, 14 h 30, 14 Uhr, 3 pm, 2.30 p. m.,
        # um 14.30; not 24 h, 3 h 30 min, 2 o'clock (of a breast), at 2.50 mm
        rf"(?<!\d)[0-2]?\d(?::|(?<=\d\d)\s:\s)[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?(?:{_HALF}|{_CLOCK}))?",
        rf"(?<![\d.,])[0-2]?\d[.h][0-5]\d\s?{_CLOCK}",
        rf"(?<![\d.,])[0-2]\d,?[0-5]\d\s?{_CLOCK}",
        r"(?<!\d)[0-2]?\dh[0-5]\d(?!\d)",
        r"(?<![\d.,])[0-2]\d\s?(?:h|uhr|uur)\s?[0-5]\d(?!\d|\s?min)",
        r"(?<![\d.,])[0-2]?\d\s?(?:uhr|uur)\b",
        rf"(?<![\d.,])[0-1]?\d(?:[.:]?[0-5]\d)?\s?{_HALF}(?=\s|$|[,;)])",
        r"\b(?:a las|a les|às|alle|ore|kl\.?|um|om|at|gegen)\s[0-2]?\d[.][0-5]\d(?!\d|\s?[a-z]{1,3}\b)",
        # telephone numbers and the like: seven digits and more in short groups
        r"(?:\+\s?|\b00)\d[\d\s().-]{6,}\d",
        r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?:\s?-?\s?[a-z]\b)?",
        # two groups of three digits and more: 984-412
        r"(?<![\w.,x*])\d{3,}-\d{3,}(?![\w.,x*]|\s?(?:ms|kv|kvp|mm)\b)",
        # a number that is told digit by digit: five five two nine
        rf"\b{_DIGIT}(?:[\s,.-]+{_DIGIT}){{3,}}\b",
        # ages: 93 y.o., 91 Y/O, 93 y, 90-year-old, woman of 94, 94F, F 94
        r"(?<![\d.,])\d{1,3}[\s-]?(?:y|yrs?|years?)[\s./-]{0,2}o(?:ld)?\b\.?",
        r"(?<![\d.,])\d{1,3}\s?y(?:\.|\b(?=\s*(?:$|[,;)]|[mf]\b)))",
        rf"\b{_WHO}\s+(?:is\s+|of\s+|de\s+|di\s+|von\s+|van\s+)?(?:\d{{2,3}})\b(?![.,]\d)",
        r"(?<![\w.,])\d{2,3}\s?[mf]\b(?=\s*(?:$|[,;)/]))",
        # 78 a, F, 95
        r"(?<![\d.,])\d{2,3}\s?a(?:\.|\b)(?=\s*(?:$|[,;)]))",
        r"(?<![\w.,/-])[mfhvw],\s?\d{2,3}(?=\s*(?:$|[,;)]))",
        # F/45, 91/M; above 89 also F-91, F91, M 93, for F-18 is an isotope
        r"(?<![\w.,/-])[mfhvw]\s?/\s?\d{2,3}(?![\w.,/-])",
        r"(?<![\w.,/-])\d{2,3}\s?/\s?[mfhvw](?![\w/-])",
        r"(?<![\w.,/-])[mfhvw]\s?-?\s?(?:9\d|1[01]\d)(?![\w.,/-])",
        # rooms and beds that look like an examination: RM 412
        r"\b(?:rm|zi|zimmer|sala|hab)\.?\s\d{3}\b(?!\s?(?:ms|mm|t)\b)",
        # streets: C/ Mayor 3, but not "c/contraste"
        r"\bC/\s*(?!c\b|con\b|contr|civ|gad|s\b)[^\W\d_][^\d\n;]{2,40}\d+\w?",
    )
)
#: Without any of these no pattern matches.
_POSSIBLE: Final = re.compile(rf"\d|@|://|www\.|[_-][^\W\d_][_-]|\b{_DIGIT}\b", re.IGNORECASE)
#: Groups of digits that together are too few for a number of somebody.
_FEWEST_DIGITS: Final = 6
#: Groups of digits that are no measurement: 489/213/77, 98 44 12, (415) 555-2671, 96-318-22-45, 489_213_77; but not
#: the b-values of "b50_400_800".
_GROUPS: Final = re.compile(
    r"(?<![\d.,x*])(?:\(?\d{1,4}\)?(?:[ ]?[-/. ][ ]?\(?\d{2,4}\)?){2,}|(?<![\w:])\d{1,4}(?:[ ]?[,:_][ ]?\d{2,4}){2,})"
    r"(?![\d.,x*]|[ ]?(?:mm|cm|ms|kv|kvp|mas|ma|mg|ml|mgi|gy|mbq)\b)",
    re.IGNORECASE,
)
#: Two letters with a stroke that say something as one: "s/c" is no single letters beside a name.
_ABBREVIATED: Final = re.compile(
    r"(?<![^\W_])(?:[sc][ ]?/[ ]?(?:c|s|civ|iv|contr?|contrast\w*|gad\w*)|"
    r"w[ ]?/[ ]?(?:o|wo)|wo[ ]?/[ ]?w|r/o|s/p|f/u|h/o|c/o)(?![^\W_])",
    re.IGNORECASE,
)
#: Width and level of a window, in either order: W 100 L 40, WW350 WL50, C40 W400, W1500 L-600; widths of four digits
#: are round, years mostly not.
_WIDTH: Final = r"(?:ww?|width)[ ]?[:=]?[ ]?(?P<width>\d{1,3}|[1-4]\d\d0)(?!\d)"
_LEVEL: Final = r"(?:wl|l|wc|c|level|cent(?:er|re))[ ]?[:=]?[ ]?[-+]?(?P<level>\d{1,3}|1\d\d0)(?!\d)"
_BETWEEN: Final = r"(?:[ ]?[,;/_-][ ]?|[ ])?"
_MAY_BE_WINDOW: Final = re.compile(r"(?:w|width)[ ]?[:=]?[ ]?\d", re.IGNORECASE)
_WINDOWS: Final = tuple(
    re.compile(rf"(?<![^\W_]){one}{_BETWEEN}{other}(?![^\W_]|[.,-]\d)", re.IGNORECASE)
    for one, other in ((_WIDTH, _LEVEL), (_LEVEL, _WIDTH))
)
#: A width like that of a window and a level like the number of a vertebra may be an age: "W 93 L5".
_AGES: Final = range(90, 120)
_MOST_VERTEBRAE: Final = 12
#: Parts of the body that are written together: THXABDO, chestabdpelvis, TLSPINE.
_TOGETHER: Final = re.compile(
    r"(?:(?:(?:c|t|l|s|tl|ls|ct|mr|rx|cta|mra|xr|us))?(?:spine|head|neck|chest|thx|thorax|torax|tho|abdomen|abdo|abd|pelvis|pelv|pel|"
    r"brain|knee|hip|foot|hand|wrist|ankle|elbow|shoulder|liver|kidney|orbit|sinus|petrous|scout|routine|angio|plus|of|and|circle|willis|"
    r"with|without|cont|contrast|full|head|body|whole|bone|lung|soft|heart|cardiac|aorta|runoff|stone|low|dose|cor|sag|ax|tra|field|map|mag|phase|"
    r"gre|epi|fmri|dti|dwi|adc|task|rest|[tp]d?[12](?:w)?|flair|tse|fse|stir|fs|fat|sat)){2,}"
)
#: Words of letters and digits that machines write: kernels, isotopes, sequences.
_TECHNICAL: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:b[rvlfsnmq]?|h[rvcpfnqw]?|q[rt]?|u[rhbq]?|[tidjsv]r?|sa|sp|pr|fc|fl|yc)\d{2}[a-z]{0,2}",
        r"(?:tc|mo|ga|f|c|n|o|i|in|lu|y|tl|xe|kr|rb|cr|sm|sr|ra|re|ho|zr|cu|ac|pb|p|fe|se|br|th)\d{1,3}m?",
        r"\d{1,3}m?(?:tc|mo|ga|f|c|n|o|i|in|lu|y|tl|xe|kr|rb|cr|sm|sr|ra|re|ho|zr|cu|ac|pb|p|fe|se|br|th)",
        r"[a-z]{0,6}(?:ep|se|fl|tfl|tse|tir|gre|gse|epi|ffl|fm|fid|msse|seepi|tf|fisp|spc|qf|rr|ir)[a-z]{0,4}[23]d\d{1,3}[a-z]{0,4}(?:\d{1,3}[a-z]{0,3})?",
        r"\d{1,2}[a-z]\d{1,2}[a-z]",
        r"(?:bw|tr|te|ti|td|b|sl|fov|rl|ro|es|peres|ph|pf|fa|nti|ax)\d{1,4}(?:p\d{1,2}|[a-z]{0,4}\d{0,3})",
        r"b\d{1,4}[a-z]",
        r"\d{1,3}(?:sl|dir|dirs|ch|ns|vol|vols|pos|pf|head|al|ax|cor|sag|meas|iso|avg|nex|d|mm|hz|seg|views?|rot)",
        r"(?:acc|hb|mb|sms|nb|st|ss|sn|sp|se|rot|seg|frame|dir|pass|part|phase|step|run|echo|grappa|ipat|pat|series|img|vol|slab|stack|range|group|gauss|lung|iso|loc|t|map|cv|mt|rms)\d{1,3}",
    )
)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in ``text`` such forms stand, as (start, end); they may overlap."""
    if not _POSSIBLE.search(text):
        return
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield match.span()
    for match in _GROUPS.finditer(text):
        if sum(letter.isdecimal() for letter in match.group()) >= _FEWEST_DIGITS:
            yield match.span()


def windows(text: str) -> list[tuple[int, int]]:
    """Where in ``text`` width and level of a window stand, which are nobody's numbers, as (start, end)."""
    if not _MAY_BE_WINDOW.search(text):
        return []
    return [
        match.span()
        for pattern in _WINDOWS
        for match in pattern.finditer(text)
        if int(match["width"]) not in _AGES or int(match["level"]) > _MOST_VERTEBRAE
    ]


def abbreviations(text: str) -> Iterator[tuple[int, int]]:
    """Where in ``text`` letters with a stroke between them say something as one, as (start, end)."""
    if "/" in text:
        yield from (match.span() for match in _ABBREVIATED.finditer(text))


def is_technical(word: str) -> bool:
    """Whether a folded word has the form of what machines write."""
    return _TOGETHER.fullmatch(word) is not None or any(pattern.fullmatch(word) for pattern in _TECHNICAL)
