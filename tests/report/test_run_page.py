"""The page from directories: what it says, that it asks for nothing outside, and which file is wrong."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

import fake_runs
from scalarize import report
from scalarize.report import run_page
from scalarize.utils.errors import RequestError


class Elements(HTMLParser):
    """Tags with their attributes, and the text of the charts' script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.charts = [], None, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = dict(attributes).get("id") if tag == "script" else None

    def handle_data(self, data):
        if self.inside == "charts":
            self.charts += data


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return fake_runs.compare(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def text(demo):
    return report.build(demo, demo / "report.html").read_text()


def test_it_holds_the_table_the_verdicts_and_the_command(demo, text):
    result = json.loads((demo / "result.json").read_text())
    for row in result["rows"]:
        assert f"<td>{row['method']}</td>" in text
        assert f"{100 * row['average']['mean']:.2f}<small>" in text
    best = max(result["rows"], key=lambda row: row["average"]["mean"])
    assert f'class="best">{100 * best["average"]["mean"]:.2f}<small>' in text
    plain = re.sub("<.*?>", "", text.replace("&lt;", "<").replace("&#x27;", "'"))
    assert all(re.sub("<.*?>", "", sentence) in plain for sentence in result["verdicts"])
    assert "<pre>scalarize compare rand-hie --seeds 3</pre>" in text


def test_it_is_self_contained_and_small(text):
    assert len(text) < 6e6
    found = Elements(text)
    for tag, attributes in found.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), (tag, attributes)
        assert tag != "link" or attributes["href"] == "data:,"
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", text)


def test_every_figure_has_data_alt_text_and_image_files(text):
    found = Elements(text)
    charts = json.loads(found.charts)
    figures = [a for tag, a in found.tags if tag == "figure"]
    assert [int(a["data-chart"]) for a in figures] == list(range(len(charts)))
    assert all(len(a["data-alt"]) > 40 for a in figures)
    titles = [chart["title"] for chart in charts]
    assert titles[:2] == ["Average on the test split", "Cost against quality"]
    assert "Policy of search-0" in titles
    assert "Learning curves: validation" in titles
    assert text.count("data:image/png;base64,iVBOR") == text.count("data:application/pdf;base64,JVBER") == len(charts)


def test_the_policy_is_drawn_as_it_was_found(demo, text):
    charts = {chart["title"]: chart for chart in json.loads(Elements(text).charts)}
    policy = json.loads((demo / "searches" / "search-0" / "policy.json").read_text())
    drawn = charts["Policy of search-0"]
    assert drawn["kind"] == "stack"
    for k, series in enumerate(drawn["series"]):
        assert series["name"] == policy["tasks"][k]
        assert series["y"][4] == pytest.approx(policy["segments"][1]["weights"][k], rel=1e-4)
    assert sum(series["y"][-1] for series in drawn["series"]) == pytest.approx(1, abs=1e-4)


def test_equal_directories_give_equal_bytes(tmp_path):
    run = fake_runs.training(tmp_path / "run", "uniform", 0, 0.7)
    first, second = (report.build(run, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_two_tasks_show_their_trade_off_with_a_front(tmp_path):
    text = report.build(fake_runs.compare(tmp_path / "two", ("a", "b")), tmp_path / "x.html", False).read_text()
    (chart,) = (c for c in json.loads(Elements(text).charts) if c["title"] == "Trade-off between a and b")
    assert chart["series"][-1]["name"] == "front"
    assert "hypervolume" in text
    assert "data:image/png" not in text


def test_runs_and_searches_alone_and_together(tmp_path):
    fake_runs.training(tmp_path / "runs" / "first", "cagrad", 0, 0.7)
    fake_runs.training(tmp_path / "runs" / "second", "uniform", 1, 0.6)
    fake_runs.search(tmp_path / "search")
    text = report.build([tmp_path / "runs", tmp_path / "search"], tmp_path / "x.html", False).read_text()
    assert "2 runs on rand-hie" in text
    assert "Policy of search" in text
    assert "scalarize train rand-hie --method cagrad --seed 0" in text
    only = report.build(str(tmp_path / "runs" / "first"), tmp_path / "y.html", False).read_text()
    assert "1 run on rand-hie" in only
    assert "Weights of cagrad" in only


def test_words_from_outside_are_text_never_code(tmp_path):
    nasty = '</script><img src=x onerror="alert(1)">'
    run = fake_runs.training(tmp_path / "run", nasty, 0, 0.7, tasks=(nasty, "b"))
    text = report.build(run, tmp_path / "x.html").read_text()
    tags = [tag for tag, _ in Elements(text).tags]
    assert "img" not in tags
    assert nasty not in text
    assert any(s["name"] == nasty for chart in json.loads(Elements(text).charts) for s in chart["series"])


@pytest.mark.slow
def test_five_hundred_runs_stay_small(tmp_path):
    for k in range(500):
        path = tmp_path / f"run-{k}"
        if k == 0:
            fake_runs.training(path, "uniform", 0, 0.7)
        else:
            shutil.copytree(tmp_path / "run-0", path)
    page = report.build(tmp_path, tmp_path / "x.html", False)
    assert page.stat().st_size < 6e6
    assert len(json.loads(Elements(page.read_text()).charts)) < 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", None, "result.json: missing"),
        ("result.json", "[]", "result.json: must hold one JSON object"),
        ("result.json", "{", "result.json: cannot be read as JSON"),
        ("result.json", '{"method": "x", "seed": 0, "test": [1]}', "result.json: 'test' must map tasks to numbers"),
        ("records.jsonl", None, "records.jsonl: missing"),
        ("records.jsonl", '{"step": 1}\n', "records.jsonl: line 1: 'epoch' is missing or no number"),
        ("records.jsonl", "x\n", "records.jsonl: line 1 is damaged"),
        ("config.yaml", "a: [", "config.yaml: cannot be read"),
        ("config.yaml", "!!python/object/apply:os.system [echo]", "config.yaml: cannot be read"),
    ],
)
def test_a_damaged_run_is_refused_by_name(tmp_path, name, content, message):
    run = fake_runs.training(tmp_path / "run", "uniform", 0, 0.7)
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    with pytest.raises(RequestError, match=re.escape(message)) as found:
        report.build(run, tmp_path / "x.html", False)
    assert str(run / name) in str(found.value)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "'rows' must be a list of rows"),
        ({"rows": [{"method": "x"}]}, "a row needs method"),
        ({"verdicts": [1]}, "'verdicts' must be a list of sentences"),
        ({"runs": ["../elsewhere"]}, "does not lie in"),
        ({"runs": ["runs/absent"]}, "absent/result.json: missing"),
        ({"runs": "runs"}, "'runs' must list directories"),
    ],
)
def test_a_damaged_comparison_is_refused_by_name(tmp_path, change, message):
    demo = fake_runs.compare(tmp_path / "demo", searches=1, seeds=1)
    result = json.loads((demo / "result.json").read_text())
    (demo / "result.json").write_text(json.dumps(result | change))
    with pytest.raises(RequestError, match=re.escape(message)):
        report.build(demo, tmp_path / "x.html", False)


def test_nothing_to_report(tmp_path):
    with pytest.raises(RequestError, match="no runs here"):
        report.build(tmp_path, tmp_path / "x.html")
    with pytest.raises(RequestError, match="no such directory"):
        report.build(tmp_path / "absent", tmp_path / "x.html")


def test_many_methods_are_cut_with_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(run_page, "MOST_METHODS", 1)
    fake_runs.training(tmp_path / "a", "a", 0, 0.7)
    fake_runs.training(tmp_path / "b", "b", 0, 0.7)
    text = report.build(tmp_path, tmp_path / "x.html", False).read_text()
    assert "The first 1 of 2 methods" in text
