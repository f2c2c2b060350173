"""The PDF: drawn by the real engine, looked at as pixels, without a request, the same bytes again."""

import copy
import http.server
import json
import subprocess
import sys
import threading

import pytest

from pipeline.reports import render
from tests.hostile import TEXTS

pdfium = pytest.importorskip("pypdfium2")
pytestmark = pytest.mark.xdist_group("reports")  # the documents are made once: by one worker
A4 = (595, 842)
MARGIN = 30  # points; nothing may stand in it

try:
    import weasyprint  # noqa: F401
except (ImportError, OSError) as missing:
    pytest.skip(f"no WeasyPrint or no Pango on this machine: {missing}", allow_module_level=True)


@pytest.fixture(scope="module")
def asked():
    """A local server that counts who asks it for anything."""
    seen = []

    class Counting(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, seen
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def attacked(paying, asked):
    """The paying launch with sixty channels of hostile and long names, and the PDF of it."""
    document = copy.deepcopy(paying)
    row, address = document["by"]["channel"][0], f"http://127.0.0.1:{asked[0]}/"
    names = [f'<img src="{address}"><link rel=stylesheet href="{address}">', "й" * 200, "😀 emoji 👩‍⚕️", "عيادة الأسنان"]
    names += [text for name, text in TEXTS.items() if name != "long"]
    names += [f"Канал {n}" for n in range(60 - len(names))]
    document["by"]["channel"] = [{**row, "key": name, "title": None} for name in names]
    document["launch"]["title"] = f'"><img src="{address}title.png">'
    return document, render(document, "pdf", "ru")


def pages_of(content):
    document = pdfium.PdfDocument(content)
    try:
        for n in range(len(document)):
            page = document[n]
            assert tuple(map(round, page.get_size())) == A4
            text = page.get_textpage()
            yield text.get_text_bounded(), page.render(scale=1, grayscale=True).to_numpy()
            text.close()
            page.close()
    finally:
        document.close()


def test_every_page_is_numbered_and_nothing_is_cut_off(attacked):
    pages = list(pages_of(attacked[1]))
    assert 8 < len(pages) < 20
    for n, (text, pixels) in enumerate(pages, start=1):
        assert f"{n} / {len(pages)}" in text
        assert pixels[:, -MARGIN:].min() > 250, f"page {n} is cut off at the right"
        assert pixels[:, :MARGIN].min() > 250, f"page {n} is cut off at the left"
        assert pixels.min() < 100  # and is not empty


def test_paper_unfolds_every_channel_and_shows_the_figures(attacked):
    text = "\n".join(text for text, _ in pages_of(attacked[1]))
    assert [n for n in range(10) if f"Канал {n}" not in text] == []
    for word in ("Окупается", "Главные цифры", "Определения", "ROI"):
        assert word in text


def test_nothing_is_fetched_while_it_is_drawn(attacked, asked):
    assert asked[1] == []


def test_the_drawings_have_their_colours(attacked):
    document = pdfium.PdfDocument(attacked[1])
    pixels = document[1].render(scale=1).to_numpy().astype(int)
    document.close()
    blue_over_red = (pixels.max(axis=2) - pixels.min(axis=2)) > 90
    assert blue_over_red.sum() > 200


@pytest.mark.thorough
def test_the_same_document_gives_the_same_bytes_in_another_process(attacked, tmp_path):
    (tmp_path / "d.json").write_text(json.dumps(attacked[0]), encoding="ascii")
    code = ("import json, logging, sys, pathlib; logging.basicConfig(); from pipeline.reports import render\n"
            "folder = pathlib.Path(sys.argv[1])\n"
            "(folder / 'd.pdf').write_bytes(render(json.loads((folder / 'd.json').read_bytes()), 'pdf', 'ru'))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=200, capture_output=True)
    assert done.stderr == b""  # the engine has much to say about rules for screens
    assert (tmp_path / "d.pdf").read_bytes() == attacked[1]


def test_without_the_extra_the_error_says_what_to_install(paying, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(Exception, match="needs WeasyPrint") as told:
        render(paying, "pdf", "ru")
    assert "pip install 'payback[pdf]'" in told.value.hint
