"""The page of `dvc plots show`: every plot under a heading, curves that draw without a network."""

from pathlib import Path

import pytest
import vl_convert
from conftest import ROOT
from tiny import call

PAGE = ROOT / ".dvc/plots/page.html"


@pytest.mark.slow
def test_every_plot_is_seen_without_a_network(browser, finished_project, tmp_path):
    folder, _ = finished_project
    call(folder, "dvc", "plots", "show", "-o", str(tmp_path / "dvc_plots"))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/vega.js").write_text(vl_convert.javascript_bundle(vl_version="5.20"), encoding="utf-8")
    requests, errors = [], []
    tab = browser.new_page(viewport={"width": 1000, "height": 800})
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((tmp_path / "dvc_plots/index.html").as_uri())
    tab.wait_for_selector("article svg.marks")
    lines = [tab.locator("article svg.marks").nth(i).locator(".mark-line path").count() for i in range(2)]
    assert min(lines) >= 4, "a run's curve is missing"
    seen = {Path(address).stem for address in tab.locator("main img").evaluate_all("all => all.map(i => i.src)")}
    assert seen == {path.stem for path in (tmp_path / "dvc_plots/static").glob("*.png")}
    assert tab.locator("nav a").count() > 15
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1000
    assert errors == []
    assert [address for address in requests if not address.startswith("file:")] == []


def test_dvc_takes_the_page():
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text()
    assert PAGE.read_text(encoding="utf-8").count("{plot_divs}") == 1
