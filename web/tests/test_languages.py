"""Every text is there in every language, with the same places to fill in."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

LANGUAGES = Path(__file__).parents[1] / "js/language"
# The form of a text for a number takes the place of the text.
FLATTEN = """([source, name]) => {
  const texts = new Function(`${source}; return ${name};`)();
  const flat = (value, path) => typeof value === "string" ? [[path, value]]
    : Object.entries(value).flatMap(([key, inner]) => flat(inner, path ? path + "." + key : key));
  return Object.fromEntries(flat(texts, ""));
}"""


@pytest.fixture(scope="module")
def texts(browser: Browser) -> dict[str, dict[str, str]]:
    """The texts of each language by their path, read by the browser as the page reads them."""
    page = browser.new_page()
    found = {}
    for file in sorted(LANGUAGES.glob("??.js")):
        # As the server packs them: the parts of a language first, without imports and exports.
        parts = [*sorted(LANGUAGES.glob(f"{file.stem}_*.js")), file]
        source = "".join(re.sub(r"^import .*$|^export ", "", part.read_text(), flags=re.M) for part in parts)
        found[file.stem] = page.evaluate(FLATTEN, [source, file.stem])
    page.close()
    return found


def test_every_text_of_english_is_in_every_language(texts: dict[str, dict[str, str]]) -> None:
    assert {"en", "de"} <= texts.keys()
    assert len(texts["en"]) > 100
    for language, known in texts.items():
        assert set(texts["en"]) - set(known) == set(), f"{language} lacks these"
        assert set(known) - set(texts["en"]) == set(), f"only {language} has these"
        assert [path for path, text in known.items() if not text.strip()] == [], f"{language} has these without a text"


def test_texts_have_the_same_places_to_fill_in(texts: dict[str, dict[str, str]]) -> None:
    places = {language: {path: sorted(set(re.findall(r"\{(\w+)\}", text))) for path, text in known.items()} for language, known in texts.items()}
    for language, known in places.items():
        # A form for one may say the number in words.
        other = {path: places["en"][path] for path in known if not path.endswith(".one")}
        assert {path: found for path, found in known.items() if path in other and found != other[path]} == {}, language


def test_texts_are_calm(texts: dict[str, dict[str, str]]) -> None:
    for language, known in texts.items():
        assert [path for path, text in known.items() if "!" in text] == [], language
        assert [path for path, text in known.items() if re.search("[\U0001f300-\U0001faff]", text)] == [], language
