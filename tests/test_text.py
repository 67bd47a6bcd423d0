import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import ENGLISH, Alphabet, alphabet_of, foreign_letters, normalise, parse_letters, with_letters

ROOT = Path(__file__).resolve().parents[1]
GERMAN = Alphabet("abcdefghijklmnopqrstuvwxyzäöüß")
RUSSIAN = Alphabet("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        ("Kraków's  O’Neill", "krakow's o'neill"),
        ("ZELENSKYY, 5-FU!", "zelenskyy 5 fu"),
        ("rock 'n' roll", "rock n' roll"),
        ("the dogs' bowl", "the dogs' bowl"),
        ("Łódź Straße Ørsted", "lodz strasse orsted"),
        ("", ""),
        ("中文 🙂", ""),
    ],
)
def test_examples(came: str, wanted: str) -> None:
    assert normalise(came) == wanted


@pytest.mark.parametrize(
    ("alphabet", "came", "wanted"),
    [
        (GERMAN, "Müller & Söhne, STRAẞE 7", "müller söhne straße 7"),
        (GERMAN, "Mu\u0308ller", "müller"),  # in two characters, as some systems write it
        (GERMAN, "Kraków, Łódź, Ærø", "krakow lodz aero"),  # marks that German has not
        (GERMAN, "Москва", ""),
        (RUSSIAN, "Ёлкин, Чайко́вский — 5-й", "ёлкин чайковский 5 й"),  # a stress mark is none of the letters
        (RUSSIAN, "Київ’ський", "ки в'ський"),  # letters of Ukrainian
        (RUSSIAN, "Zelensky", ""),
        (Alphabet("abcdefghijklmnopqrstuvwxyz", (("ß", "sz"), ("ü", "ue"))), "Müßte", "mueszte"),
    ],
)
def test_letters_of_the_alphabet_are_kept(alphabet: Alphabet, came: str, wanted: str) -> None:
    assert normalise(came, alphabet) == wanted


LATIN = ENGLISH.letters
# Letters of the vocabulary, in upper case as many have them; a text; what is read of it; what is refused by name.
TWELVE = {
    "English": (LATIN.upper(), "Zoë’s Café in Kraków", "zoe's cafe in krakow", ""),
    "German": (LATIN + "äöüß", "Jörg Müller hört STRAẞE, à la carte", "jörg müller hört straße a la carte", ""),
    "French": (LATIN.upper() + "ÀÂÇÉÈÊËÎÏÔÛÙÜŸŒ", "L’ŒUVRE d’Éluard, señor", "l'œuvre d'éluard senor", ""),
    "Spanish": (LATIN + "áéíóúüñ", "¿Dónde está Peñíscola? Çelik", "dónde está peñíscola celik", ""),
    "Portuguese": (LATIN + "áâãàçéêíóôõúü", "São João, Mãe d’Água, Łódź", "são joão mãe d'água lódz", ""),
    "Polish": (LATIN + "ąćęłńóśźż", "Świętochłowice i Łódź, Müller", "świętochłowice i łódź muller", ""),
    "Czech": (LATIN + "áčďéěíňóřšťúůýž", "Příliš žluťoučký kůň", "příliš žluťoučký kůň", ""),
    "Turkish": (LATIN.upper() + "ÇĞIİÖŞÜ", "IĞDIR’da İnönü, Irmak", "ığdır'da inönü ırmak", ""),
    "Swedish": (LATIN + "åäö", "Åkesson & Bergström på Øresund", "åkesson bergström på oresund", ""),
    "Russian": ("абвгдежзийклмнопрстуфхцчшщъыьэюя", "Королёв, Чайко\u0301вский й", "королев чайковский й", "ґ"),
    "Ukrainian": ("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя'", "М’ята, Їжак і ґанок", "м'ята їжак і ґанок", "ы"),
    "Greek": ("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ", "Ο Οδυσσέας, ΣΟΦΟΣ Αϊνστάιν", "ο οδυσσέασ σοφοσ αινστάιν", "q"),
}  # fmt: skip


@pytest.mark.parametrize("language", TWELVE)
def test_twelve_languages_keep_the_letters_of_a_models_vocabulary(language: str) -> None:
    vocabulary, text, wanted, refused = TWELVE[language]
    alphabet = alphabet_of([*vocabulary, "|", "-"])
    assert alphabet is not None
    assert normalise(text, alphabet) == wanted
    assert normalise(wanted, alphabet) == wanted
    assert foreign_letters(text, alphabet) == ""
    assert foreign_letters(f"{text} {refused}", alphabet) == refused
    assert with_letters(alphabet.letters) == alphabet == parse_letters(alphabet.letters)


def test_an_alphabet_of_pieces() -> None:
    assert alphabet_of([LATIN]) == ENGLISH
    assert alphabet_of(["▁THE", *LATIN.upper().replace("Q", ""), "'"]) == ENGLISH  # no word had q
    assert alphabet_of(["абв", "xyz"]).letters == "xyzабв"  # type: ignore[union-attr]  # a few are no sign of Latin
    assert alphabet_of(["e\u0301", *LATIN]).letters == f"{LATIN}é"  # type: ignore[union-attr]
    assert alphabet_of(["e", "\u0301", "ﬁ", "º", "ʼ"]).letters == "e"  # type: ignore[union-attr]
    assert alphabet_of(["1", "-", "|"]) is None
    hindi = alphabet_of(["न", "म", "स", "त", "े", "्"])
    assert hindi is not None
    assert normalise("नमस्ते!", hindi) == "नमस्ते"


@pytest.mark.parametrize(
    ("came", "wanted"), [("a-zäöü", f"{LATIN}äöü"), ("а-я ё", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"), ("abc", "abc")]
)
def test_letters_are_named_with_ranges(came: str, wanted: str) -> None:
    assert parse_letters(came).letters == wanted


@pytest.mark.parametrize("came", ["z-a", "", "a1", "A-Z"])
def test_what_are_no_letters_is_refused(came: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        parse_letters(came)


_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i"})


def before_there_were_alphabets(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.lower().translate(_TYPOGRAPHIC).translate(_LETTERS))
    text = "".join(character for character in text if not unicodedata.combining(character))
    return " ".join(re.sub(r"(?<![a-z0-9])'+|'+(?=')", " ", re.sub(r"[^a-z0-9' ]+", " ", text)).split())


telling = st.sampled_from("aAzZ09 '’‘`´–—-łŁøØđðþßẞæÆœıİäÄéǿŉﬁᴬ²½Ⅷ①Åйё中\u0301\u0308\u0345\n\t&")


@given(st.one_of(st.text(), st.text(telling)))
def test_english_is_what_it_was(text: str) -> None:
    assert normalise(text) == normalise(text, ENGLISH) == before_there_were_alphabets(text)


@given(st.one_of(st.text(), st.text(telling)), st.sampled_from([ENGLISH, GERMAN, RUSSIAN]))
def test_normalising_twice_changes_nothing(text: str, alphabet: Alphabet) -> None:
    once = normalise(text, alphabet)
    assert normalise(once, alphabet) == once
    assert set(once) <= set(alphabet.letters + "0123456789' ")


@pytest.mark.parametrize("letters", ["", "abca", "ABC", "a ", "a1", "a\u0308'"])
def test_an_alphabet_is_of_letters(letters: str) -> None:
    with pytest.raises(ValueError, match="an alphabet of the letters"):
        Alphabet(letters)


def takers() -> set[str]:
    """Return the functions and classes of pipeline that take an alphabet, by their whole names."""
    found = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found |= {f"{module}.{node.name}" for name in parameters(node) if name == "alphabet"}
    return found


def parameters(node: ast.FunctionDef | ast.ClassDef) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef):
        yield from (one.arg for one in (*node.args.args, *node.args.kwonlyargs))
        return
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):  # a field of a dataclass
            yield part.target.id
        elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
            yield from parameters(part)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a module with the whole name of what it calls, as far as the imports tell."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    here = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    known = {one.name: f"{here}.{one.name}" for one in module.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            known |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            yield known.get(first, first) + (f".{rest}" if rest else ""), node


def test_whoever_reads_text_is_told_the_alphabet() -> None:
    """A call that leaves it to the default would read in English what another part of the run reads in German."""
    told = takers()
    assert {"pipeline.text.normalise", "pipeline.types.tokens.Tokens", "pipeline.entities.snapshot.load"} <= told
    silent = []
    for path in sorted(path for package in ("pipeline", "actors", "jobs") for path in (ROOT / package).rglob("*.py")):
        for name, call in calls(path):
            given = [ast.unparse(one) for one in (*call.args, *call.keywords)]
            if name in told and not any("alphabet" in one or one == "ENGLISH" for one in given):
                silent.append(f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}")
    assert not silent
