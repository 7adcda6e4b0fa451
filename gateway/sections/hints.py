"""What somebody has probably meant who wrote a file that cannot be read."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CURLY", "LISTS", "meant_key", "of_syntax", "of_tag", "of_type"]

#: Quotes that word processors write.
CURLY: Final = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
#: What is said of an entry of a list of lists.
LISTS: Final = "a list of lists stands here: write [[...]]"
#: Words for keys in Spanish, and other words for them in English.
_KEYS: Final = {
    "perfil": "profile", "nombre": "name", "versi\u00f3n": "version", "descripcion": "describes",
    "descripci\u00f3n": "describes", "describe": "describes", "description": "describes", "usar": "use", "usa": "use",
    "uses": "use", "capas": "use", "layers": "use", "identidad": "identity", "paciente": "patient", "formato": "format",
    "fechas": "dates", "horas": "times", "vocabulario": "vocabulary", "aceptar": "accept", "acepta": "accept",
    "rechazar": "reject", "rechaza": "reject", "retener": "hold", "atributos": "attributes", "elementos": "attributes",
    "elements": "attributes", "rules": "attributes", "reglas": "attributes", "p\u00edxeles": "pixels",
    "pixeles": "pixels", "pruebas": "tests", "tests": "tests", "mantener": "keep", "conservar": "keep",
    "guardar": "keep", "retain": "keep", "eliminar": "remove", "borrar": "remove", "quitar": "remove",
    "suprimir": "remove", "delete": "remove", "drop": "remove", "vaciar": "empty", "blank": "empty",
    "reemplazar": "replace", "sustituir": "replace", "set": "replace", "limpiar": "clean", "insertar": "insert",
    "add": "insert", "copiar": "copy", "generalizar": "generalise", "generalize": "generalise", "round": "generalise",
    "seudonimizar": "pseudonymise", "pseudonymize": "pseudonymise", "hash": "hash-uid", "shift": "shift-date",
    "desplazar-fecha": "shift-date", "truncar-fecha": "truncate-date", "porque": "because", "motivo": "because",
    "raz\u00f3n": "because", "razon": "because", "reason": "because", "why": "because", "cuando": "when", "si": "when",
    "if": "when", "condition": "when", "condici\u00f3n": "when", "condicion": "when", "tapar": "mask",
    "enmascarar": "mask", "ocultar": "mask", "black-out": "mask", "recortar": "crop", "buscar-texto": "find-text",
    "dado": "given", "datos": "given", "espera": "expect", "esperado": "expect", "expected": "expect", "nunca": "never",
    "resultado": "outcome", "result": "outcome",
}  # fmt: skip
_MISSING_COLON: Final = re.compile(r"([A-Za-z][\w-]*)(?:\s+[\[{\"'].*)?")


def meant_key(written: str, known: list[str]) -> str:
    """The key that a word stands for in another language or by another name; empty if none of ``known`` is it."""
    key = _KEYS.get(written.lower().replace("_", "-"), "")
    return key if key in known else ""


def of_type(kind: str, raw: str | None, known: list[str], *, inside_list: bool) -> str:
    """A hint for a value of the wrong form, with a leading semicolon; empty if there is none.

    Parameters
    ----------
    kind
        what pydantic calls the error
    raw
        the value as written, if it is one word or text
    known
        the keys that could stand there
    inside_list
        whether the value is an entry of a list
    """
    if kind == "list_type":
        if inside_list:
            return f"; {LISTS}"
        return f"; write [{raw}]" if raw else "; each entry begins with a hyphen, and several stand in [ ]"
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        missing = _MISSING_COLON.fullmatch(raw or "")
        if missing is not None and missing[1] in known:
            return f'; is a colon missing behind "{missing[1]}"?'
        if known:
            return f"; keys with values stand here: {', '.join(known[:8])}{'...' if len(known) > 8 else ''}"
        return "; names with values stand here: write {Name: value}"
    if kind == "too_short":
        return "; name something, or leave it out"
    return ""


def of_tag(line: str) -> str:
    """What is said of a value that begins with ``!``, which YAML reads as a tag."""
    text = re.split(r"\s+#", line.strip())[0]
    quoted = f"'{text}'" if "'" not in text else f'"{text}"' if '"' not in text else "all of it"
    return f"a text that begins with ! stands in quotes: write {quoted}"


def of_syntax(problem: str, line: str, column: int) -> str:
    """A hint for an error of syntax, with a leading semicolon; empty if there is none.

    Parameters
    ----------
    problem
        what the library says
    line
        the line of the error
    column
        where it stands there, from 0
    """
    at = line[column : column + 1]
    if any(sign in line for sign in CURLY):
        return "; quotes are straight: \" or '"
    if at in ("*", "&", "%", "@", "`", "!") or (at and line[column - 1 : column] in ("*", "&", "!")):
        sign = at if at in ("*", "&", "%", "@", "`", "!") else line[column - 1]
        return f"; what begins with {sign} stands in quotes"
    if line[:column].rstrip().endswith(("'", '"')):
        return "; the quotes end before the text does: put all of it in quotes"
    if "',' or ']'" in problem:
        return "; is a ] missing?"
    if "',' or '}'" in problem:
        return "; is a } missing?"
    return ""
