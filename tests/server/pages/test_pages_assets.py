"""What is shipped with the pages is what its makers published, and goes out packed."""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import zstandard

from greenroom.server.pages import assets
from tests.server.pages.visitor import Visitor

VENDOR = assets.STATIC / "vendor"
LISTED = tomllib.loads((VENDOR / "vendored.toml").read_text(encoding="utf-8"))["file"]


def test_every_vendored_file_is_listed_and_is_what_was_published() -> None:
    found = {path.name for path in VENDOR.iterdir()} - {"vendored.toml"}

    assert {one["name"] for one in LISTED} == found
    for one in LISTED:
        assert hashlib.sha256((VENDOR / one["name"]).read_bytes()).hexdigest() == one["sha256"], one["name"]
        assert all(one[fact] for fact in ("package", "version", "licence"))


def test_nothing_vendored_leads_elsewhere_or_makes_code_of_text() -> None:
    for path in VENDOR.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text
        assert "eval(" not in text
        assert "importScripts" not in text
    for path in [*assets.STATIC.glob("*.js"), *assets.STATIC.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text
        assert "https://" not in text
        assert "new Function" not in text


@pytest.mark.parametrize(
    ("asked", "unpack"), [("gzip", gzip.decompress), ("zstd, gzip", zstandard.decompress)]
)
def test_files_go_out_packed_and_whole(visitor: Visitor, asked: str, unpack: object) -> None:
    for name, asset in assets.read_assets().items():
        with visitor.client.stream("GET", asset.address, headers={"accept-encoding": asked}) as answer:
            raw = b"".join(answer.iter_raw())

        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        if len(asset.body) >= 1000:
            assert answer.headers["content-encoding"] == asked.partition(",")[0]
            assert unpack(raw) == asset.body  # type: ignore[operator]  # one of the two above
        else:
            assert raw == asset.body


@pytest.mark.parametrize("asked", ["", "identity", "gzip;q=0", "br"])
def test_who_takes_no_packing_gets_none(visitor: Visitor, asked: str) -> None:
    address = assets.read_assets()["greenroom.css"].address

    answer = visitor.get(address, accept_encoding=asked)

    assert "content-encoding" not in answer.headers
    assert "accept-encoding" in answer.headers["vary"]


def test_a_file_under_an_old_address_is_asked_for_again(visitor: Visitor) -> None:
    answer = visitor.get("/static/greenroom.css?v=000000000000")

    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    assert visitor.get("/static/greenroom.css", if_none_match=tag).status_code == 304


@pytest.mark.parametrize("path", ["/static/css/base.css", "/static/", "/static/vendor/vendored.toml",
                                  "/static//etc/passwd", "/static/..%2fhandlers.py"])  # fmt: skip
def test_only_listed_files_are_there(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 404


def test_the_first_page_is_small(admin: Visitor) -> None:
    """Everything that the start page asks for, as a browser gets it: within 150 kB."""
    seen = admin.see("/")
    addresses = [one["src"] for one in seen.all("script")] + [one["href"] for one in seen.all("link")]
    total = 0
    for address in ["/", *addresses]:
        with admin.client.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
            total += len(b"".join(answer.iter_raw()))

    assert len(addresses) >= 8
    assert total < 60_000


def test_pages_and_twins_go_out_packed(admin: Visitor) -> None:
    for path in ("/", "/requests", "/requests.json", "/nope-is-no-page"):
        plain = admin.get(path, accept_encoding="identity")
        with admin.client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
        if len(plain.content) < 1000:
            continue
        assert answer.headers["content-encoding"] == "gzip"
        assert len(gzip.decompress(raw)) == len(plain.content)
        assert len(raw) < len(plain.content) / 2


def test_the_notice_names_what_is_shipped() -> None:
    notice = (Path(assets.__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    for one in LISTED:
        assert one["package"] in notice


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_scripts_are_modules_that_parse_and_tell_figures_with_their_unit(tmp_path: Path) -> None:
    lines = []
    for path in sorted(assets.STATIC.glob("*.js")):
        (tmp_path / path.name).with_suffix(".mjs").write_text(
            path.read_text(encoding="utf-8"), encoding="utf-8"
        )
        lines.append(f"new vm.SourceTextModule(fs.readFileSync('{path.name[:-3]}.mjs', 'utf8'));")
    program = f"""
      import fs from 'node:fs'; import vm from 'node:vm';
      {"".join(lines)}
      globalThis.HTMLElement = class {{}}; globalThis.customElements = {{ define() {{}} }};
      const {{ alone, figure }} = await import('./gr-chart.mjs');
      if (alone([1, null, 2, 3, undefined, 0, null, null, 4]).join() !== '0,5,8') throw new Error('points alone');
      console.log(JSON.stringify([[0.25, 'ms'], [1532, 'ms'], [12.345, 'ms'], [0.0042, 'USD'], [1234567, 'USD'],
        [0.125, 'share'], [15300, ''], [12, 'tokens'], [null, 'ms'], [0, 'ms']].map((one) => figure(...one))));
    """
    (tmp_path / "all.mjs").write_text(program, encoding="utf-8")
    done = subprocess.run(
        ["node", "--experimental-vm-modules", "--no-warnings", "all.mjs"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "250 µs", "1.53 s", "12.3 ms", "$0.0042", "$1.23 M", "12.5 %", "15.3 k", "12 tokens", "–", "0 ms",
    ]  # fmt: skip


def test_a_class_has_its_look_from_one_sheet() -> None:
    homes: dict[str, set[str]] = {}
    for sheet in (assets.STATIC / "css").glob("*.css"):
        for name in re.findall(r"^(\.[\w-]+) \{", sheet.read_text(encoding="utf-8"), re.MULTILINE):
            homes.setdefault(name, set()).add(sheet.name)

    assert {name: found for name, found in homes.items() if len(found - {"narrow.css"}) > 1} == {}
