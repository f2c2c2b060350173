"""Texts that attack whoever stores, prints or draws them, and files that attack whoever opens them. Used by tests all over."""

import io
import re
import zipfile

# What a page, a workbook, a chat, a database, a template or a terminal would act upon, were it not treated as text.
TEXTS = {
    "script": "<script>document.title='hacked'</script>",
    "image": "<img src=x onerror=\"document.title='hacked'\">",
    "link": "<a href=\"javascript:document.title='hacked'\">x</a>",
    "request": "<link rel=stylesheet href=http://127.0.0.1:9/hostile.css><img src=http://127.0.0.1:9/hostile.png>",
    "svg": "</text></svg><svg onload=\"document.title='hacked'\">",
    "closing": "</style></title></textarea><script>document.title='hacked'</script>",
    "attribute": "\" onmouseover=\"document.title='hacked'\" x=\"",
    "entity": "&lt;script&gt;&#60;script&#62;",
    "template": "{{ 7*7 }}{% for x in [1] %}{{ page.__class__ }}{% endfor %}${7*7}#{7*7}",
    "format": "{0}{boom}{page.__class__}%(x)s%s%n",
    "formula": '=HYPERLINK("http://evil.example","click")',
    "formula plus": "+cmd|' /C calc'!A0",
    "formula at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula tab": "\t=1+1",
    "bb code": "[URL=http://evil.example]x[/URL][USER=1]boss[/USER]",
    "rich": "[red]x[/red][link=http://evil.example]y[/link]",
    "markdown": "[x](http://evil.example) *b* _i_ `c` @all",
    "mathtext": "$\\frac{1}{0}$ $x^$",
    "sql": "'; DROP TABLE leads; --",
    "sql quote": "a'b\"c`d\\",
    "terminal": "\x1b]0;hacked\x07\x1b[2J\x1b[31mred\x9b31m",
    "controls": "a\x00b\x01c\x7fd\x85e",
    "lines": "one\r\ntwo\nportal: ok\u2028three",
    "bidi": "\u202egpj.exe\u2066x\u2069",
    "invisible": "pay\u200bback\u2060\ufeff",
    "zalgo": "e" + "\u0301" * 300,
    "surrogate": "half \ud83d of a smile",
    "path": "../../../../tmp/hacked",
    "device": "/dev/null\\..\\..\\con",
    "long": "д" * 100_000,
}
HACKED = re.compile("hacked|evil")
# None of these may reach a page, a terminal or a message.
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]")

CONTENT_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="xml" ContentType="application/xml"/>'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/xl/workbook.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    b'<Override PartName="/xl/worksheets/sheet1.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
    b'<Override PartName="/xl/sharedStrings.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)
_MAIN = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELS = b'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_KINDS = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook(sheet: bytes, strings: bytes = b"", *, strings_path: str = "xl/sharedStrings.xml", head: bytes = b"") -> bytes:
    """An XLSX file with these rows (`<row>...`) and shared strings (`<si>...`); `head` stands before the sheet's root."""
    rels = (
        b"<Relationships " + _RELS + b'><Relationship Id="r1" Type="' + _KINDS + b'/worksheet" Target="worksheets/sheet1.xml"/>'
        b'<Relationship Id="r2" Type="' + _KINDS + b'/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    )
    parts = {
        "[Content_Types].xml": CONTENT_TYPES.replace(b"/xl/sharedStrings.xml", b"/" + strings_path.encode()),
        "_rels/.rels": b"<Relationships " + _RELS + b'><Relationship Id="r1" Type="' + _KINDS + b'/officeDocument" '
        b'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": b"<workbook " + _MAIN + b' xmlns:r="' + _KINDS + b'"><sheets>'
        b'<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": rels,
        "xl/worksheets/sheet1.xml": head + b"<worksheet " + _MAIN + b"><sheetData>" + sheet + b"</sheetData></worksheet>",
        strings_path: b"<sst " + _MAIN + b">" + strings + b"</sst>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def text_cells(*texts: str) -> bytes:
    """Cells with texts of their own, for a row of `workbook`."""
    return b"".join(b'<c t="inlineStr"><is><t>' + text.encode() + b"</t></is></c>" for text in texts)
