"""The report and the local page in a real browser (headless Chromium): what it runs, loads and shows, by mouse and by keyboard.

On Debian: apt-get install chromium chromium-driver.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from als_redflags import Scorer
from als_redflags.html_report import to_html
from tests.conftest import ROOT
from tests.test_html_report import HOSTILE, SALE

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CLINIC = (ROOT / "examples" / "clinic.txt").read_text("utf-8")
WARNING = (ROOT / "examples" / "regulator_warning.txt").read_text("utf-8")

# The lowest contrast of all text on the page (WCAG 2: 4.5 is AA), with the text that has it.
CONTRAST = """
const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const linear = (v) => v <= 10 ? v / 3294.6 : ((v / 255 + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const below = (e) => { for (; e; e = e.parentElement) {
  const c = parse(getComputedStyle(e).backgroundColor);
  if (c[3] > 0) return c;
} };
let worst = [99, ""];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || e.closest(".unseen, .skip")) continue;
  const style = getComputedStyle(e);
  const ink = parse(e.closest("svg") ? style.fill : style.color);
  const [a, b] = [light(ink), light(below(e))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < worst[0]) worst = [ratio, walker.currentNode.data];
}
return worst;
"""
# The text as the reader sees it, without numbers and notes.
SHOWN = """
const page = document.querySelector(".page").cloneNode(true);
page.querySelectorAll(".chip, .unseen").forEach((e) => e.remove());
return [...page.querySelectorAll("p")].map((p) => p.textContent).join("");
"""


class Browser:
    """Chromium with a screen of any size, light or dark."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, address: str | Path, *, width: int = 1280, dark: bool = False, media: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 500)
        self.messages()
        self.requests()
        self.driver.get(address.as_uri() if isinstance(address, Path) else address)

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def wait_for(self, selector: str, text: str = "") -> Any:
        """The element with this text, as soon as it is there."""
        wait = WebDriverWait(self.driver, 20, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: [element for element in self.all(selector) if text in element.text])[0]

    def messages(self) -> list[str]:
        """Messages of the console since the last call: errors, refused scripts, failed loads."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("there is no Chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('p')}",
    ):
        options.add_argument(argument)
    if os.name == "posix" and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has no sandbox for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield Browser(chrome)
    chrome.quit()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Address of the local page, served by the installed command."""
    for package in ("starlette", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason="the extra 'web' is not installed")
    command = [Path(sys.executable).with_name("als-redflags"), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[0]
        process.terminate()


@pytest.fixture
def page(scorer: Scorer, tmp_path: Path) -> Any:
    """Write the report on some texts to a file and give its path."""

    def write(*texts: str, source: str | None = None) -> Path:
        file = tmp_path / "report.html"
        file.write_text(to_html(scorer, [(text, scorer.score(text, source=source)) for text in texts]), "utf-8")
        return file

    return write


# --- the report


def test_a_hostile_text_stays_text(browser: Browser, page: Any) -> None:
    file = page(HOSTILE + "w" * 3000, source='"><img src=x onerror="window.hacked = 9">')
    browser.show(file)
    for element in browser.all(".page, .page mark, h1 bdi")[:10]:
        webdriver.ActionChains(browser.driver).move_to_element(element).perform()
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.querySelectorAll('script, img, iframe, base, main b, style ~ style').length") == 0
    assert browser.requests() == [file.as_uri()], "nothing but the file itself is loaded"
    assert browser.messages() == []
    assert "<script>window.hacked = 1</script>" in browser.one(".page").text
    assert browser.one(".result").is_displayed(), "a style in the text hides nothing"


def test_scripts_are_forbidden(browser: Browser, page: Any) -> None:
    file = page(SALE)
    html = file.read_text("utf-8")
    file.write_text(
        html.replace("</main>", "<script>window.hacked = 1</script><img src='http://127.0.0.1:9/x.gif'></main>"), "utf-8"
    )
    browser.show(file)
    assert browser.run("return window.hacked") is None, "even if a script came into the page it would not run"
    assert len([message for message in browser.messages() if "Content Security Policy" in message]) == 2


@pytest.mark.parametrize("text", [CLINIC, WARNING, SALE], ids=["clinic", "warning", "sale"])
def test_the_text_is_shown_whole(browser: Browser, page: Any, text: str) -> None:
    browser.show(page(text))
    assert browser.run(SHOWN) == text


def test_words_of_several_families_carry_several_underlines(browser: Browser, page: Any) -> None:
    browser.show(page("We inject our umbilical cord stem cells into the spinal fluid of people with ALS, no risk, for $24,500."))
    styles = browser.run(
        "return [...document.querySelectorAll('.page mark span')].map((e) => { const s = getComputedStyle(e), m = "
        "getComputedStyle(e.closest('mark')); return [m.textDecorationStyle, s.textDecorationStyle, m.textUnderlineOffset, "
        "s.textUnderlineOffset]; })"
    )
    assert styles, "there are nested marks"
    assert all(outer[2] != outer[3] for outer in styles), "the lines do not lie on each other"


def test_families_differ_in_more_than_colour(browser: Browser, page: Any) -> None:
    browser.show(page(CLINIC))
    looks = browser.run(
        "return [...document.querySelectorAll('.legend .family')].map((e) => { const s = getComputedStyle(e); return "
        "[s.textDecorationStyle, s.textDecorationColor]; })"
    )
    assert len({tuple(look) for look in looks}) == len(looks) >= 6
    assert len({style for style, _ in looks}) >= 4
    assert all(chip.text for chip in browser.all(".page .chip")), "every mark has its number or its reason in words"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_contrast_and_width(browser: Browser, page: Any, width: int, dark: bool) -> None:
    browser.show(page(CLINIC, WARNING, HOSTILE + "w" * 3000, "???"), width=width, dark=dark)
    ratio, text = browser.run(CONTRAST)
    assert ratio >= 4.5, text
    assert browser.run("const e = document.documentElement; return e.scrollWidth - e.clientWidth") == 0, (
        "nothing sticks out to the side"
    )
    lines = browser.run("return [...document.querySelectorAll('.verdict, .chip')].map((e) => e.getClientRects().length)")
    assert set(lines) == {1}, "no label is broken"
    background = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark


def test_on_paper_everything_is_there(browser: Browser, page: Any) -> None:
    file = page(CLINIC)
    browser.show(file, media="print", dark=True)
    assert browser.run("const p = document.querySelector('.page'); return p.scrollHeight - p.clientHeight") == 0, "no scroll bars"
    assert not any(nav.is_displayed() for nav in browser.all("nav"))
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", "no black sheets"
    assert browser.run(CONTRAST)[0] >= 4.5
    assert browser.command("Page.printToPDF")["data"].startswith("JVBERi0"), "a PDF"


def test_by_keyboard(browser: Browser, page: Any) -> None:
    browser.show(page(SALE))
    browser.press(Keys.TAB)
    assert browser.driver.switch_to.active_element.text == "Skip to the result"
    for _ in range(40):
        browser.press(Keys.TAB)
        if "chip" in browser.driver.switch_to.active_element.get_attribute("class"):
            break
    chip = browser.driver.switch_to.active_element
    assert chip.accessible_name.startswith("flag ")
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    browser.press(Keys.ENTER)
    entry = browser.one(".flag:target")
    assert entry.find_element(By.CSS_SELECTOR, "h3").text.split(None, 1)[1] in chip.accessible_name
    entry.find_element(By.CSS_SELECTOR, ".quote a").send_keys(Keys.ENTER)
    assert browser.one(".page .chip:target").text == chip.text, "and back to the words"


def test_what_a_screen_reader_is_told(browser: Browser, page: Any) -> None:
    browser.show(page(SALE))
    tree = browser.command("Accessibility.getFullAXTree")["nodes"]
    names = {(node["role"]["value"], node["name"]["value"]) for node in tree if "name" in node}
    assert any(
        role == "image" and re.match(r"Gauge: score .*0\.9\d on a scale from 0 to 1\. Caution begins at", name)
        for role, name in names
    )
    assert any(role == "link" and name.startswith("flag 1: ") for role, name in names)
    assert {"main", "navigation", "article", "table", "contentinfo"} <= {node["role"]["value"] for node in tree if "role" in node}


def test_a_million_characters(browser: Browser, page: Any) -> None:
    text = "The clinic is near the station. <i>" * 100 + "=" * 990_000 + "\n\n" + SALE
    browser.show(page(text), width=390)
    assert len(browser.run(SHOWN)) == len(text)
    browser.one(".quote a").click()
    top = browser.run("return document.querySelector('.page .chip:target').getBoundingClientRect().top")
    assert 0 <= top < 844, "the link leads to the words at the end"


# --- the local page


def test_paste_and_see_the_marks(browser: Browser, url: str) -> None:
    browser.show(url)
    browser.one("textarea").send_keys(SALE.replace("\n", Keys.SHIFT + Keys.ENTER + Keys.SHIFT))
    browser.one("button").click()
    browser.wait_for(".result", "HIGH")
    assert browser.run(SHOWN) == SALE
    assert browser.messages() == []
    assert {address.removeprefix(url) for address in browser.requests()} <= {"", "drop.js"}, "nothing is asked of anybody else"


def test_keyboard_alone(browser: Browser, url: str) -> None:
    browser.show(url)
    browser.press("Our stem cells cure ALS, guaranteed. Only $19,500!", Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait_for(".result", "HIGH")
    browser.one(".back a").send_keys(Keys.ENTER)
    assert browser.wait_for("textarea").get_attribute("value") == ""


def test_a_file_chosen_or_dropped_anywhere(browser: Browser, url: str, tmp_path: Path) -> None:
    file = tmp_path / "advert & co.txt"
    file.write_text(SALE, "utf-8")
    browser.show(url)
    browser.one("input[type=file]").send_keys(str(file))
    browser.one("button").click()
    browser.wait_for("article h1", "advert & co.txt")
    browser.show(url)
    browser.run(
        "const data = new DataTransfer(); data.items.add(new File(['Our stem cells cure ALS, guaranteed.'], 'dropped.txt'));"
        "const drop = new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});"
        "document.querySelector('textarea').dispatchEvent(drop);"
    )
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_for("article h1", "dropped.txt")


def test_errors_are_announced_and_lose_nothing(browser: Browser, url: str, tmp_path: Path) -> None:
    browser.show(url, width=390)
    browser.one("button").click()
    browser.wait_for("[role=alert]", "There is no text.")
    file = tmp_path / "a.txt"
    file.write_text("x", "utf-8")
    browser.one("textarea").send_keys("Our stem cells cure ALS </textarea>")
    browser.one("input[type=file]").send_keys(str(file))
    browser.one("button").click()
    browser.wait_for("[role=alert]", "There is a text and a file.")
    assert browser.one("textarea").get_attribute("value") == "Our stem cells cure ALS </textarea>"
    assert browser.run(CONTRAST)[0] >= 4.5
    file.write_bytes(b"a" * 6_000_000)
    browser.show(url)
    browser.one("input[type=file]").send_keys(str(file))
    browser.one("button").click()
    browser.wait_for("[role=alert]", "This is larger than 5 MB.")


def test_no_other_site_can_frame_it_or_send_to_it(browser: Browser, url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text(
        f"<iframe src='{url}'></iframe><form action='{url}' method='post' enctype='multipart/form-data'>"
        "<input name='text' value='Our stem cells cure ALS'><button>Go</button></form>",
        "utf-8",
    )
    browser.show(other)
    assert any("frame-ancestors" in message for message in browser.messages())
    browser.one("button").click()
    browser.wait_for("[role=alert]", "sent by another web site")
