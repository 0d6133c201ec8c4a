"""The parts of the parallel pipeline: order, times, display, and what is imported before a fork."""

import io
import random
import re
from pathlib import Path

import pytest
from conftest import ROOT
from rich.console import Console
from tiny import call
from trivial import write_trivial

from fanout import forks, machine
from fanout.display import Screen, last_lines, span
from fanout.records import Times
from fanout.schedule import Schedule, left, ways

NEEDS = {"a": set(), "b": set(), "c": {"a"}, "d": {"c"}, "e": {"b"}, "f": {"d", "e"}}
SECONDS = {"a": 1.0, "b": 5.0, "c": 1.0, "d": 1.0, "e": 2.0, "f": 1.0}


class TestSchedule:
    def test_the_longest_way_goes_first(self):
        assert ways(NEEDS, SECONDS) == {"a": 4.0, "b": 8.0, "c": 3.0, "d": 2.0, "e": 3.0, "f": 1.0}
        schedule = Schedule(NEEDS, SECONDS)
        assert [schedule.next(), schedule.next(), schedule.next()] == ["b", "a", None]
        schedule.done("a")
        assert schedule.next() == "c"

    def test_equal_ways_are_in_serial_order(self):
        names = [str(i) for i in random.Random(0).sample(range(100), 100)]
        schedule = Schedule({name: set() for name in names}, dict.fromkeys(names, 1.0))
        assert [schedule.next() for _ in names] == names

    def test_what_needs_a_stage_that_is_not_done_never_runs(self):
        schedule, handed = Schedule(NEEDS, SECONDS), []
        while name := schedule.next():
            handed.append(name)
            if name != "c":
                schedule.done(name)
        assert sorted(handed) == ["a", "b", "c", "e"]

    def test_what_does_not_fit_waits_and_the_next_goes(self):
        schedule = Schedule(NEEDS, SECONDS)
        assert schedule.next(lambda name: name != "b") == "a"
        assert schedule.next(lambda name: name != "b") is None
        assert schedule.next() == "b"

    def test_what_is_left(self):
        assert left(NEEDS, SECONDS, 1) == 11.0
        assert left(NEEDS, SECONDS, 8) == 8.0  # b, e, f
        assert left(NEEDS, {"e": 0.5, "f": 1.0}, 8) == 1.5
        assert left(NEEDS, {}, 8) == 0.0


class TestRecords:
    def test_times_of_a_stage_its_family_or_a_guess(self, tmp_path):
        times = Times(tmp_path / "f/times.json")
        assert times.known("train@a") is None
        assert times.expected("train@a", True) > times.expected("figure", False)
        times.add("train@a", 10.0)
        times.add("train@b", 20.0)
        times.save()
        again = Times(tmp_path / "f/times.json")
        assert [again.known(name) for name in ("train@a", "train@c", "other")] == [10.0, 15.0, None]

    def test_times_that_are_damaged_are_none(self, tmp_path):
        (tmp_path / "times.json").write_text('{"train')
        assert Times(tmp_path / "times.json").known("train") is None

    def test_the_last_words_of_a_log(self, tmp_path):
        log = tmp_path / "log"
        assert last_lines(log, 1) == []
        log.write_bytes(b"x" * 9999 + b"\nstarts\n 10%|#  | 1/10\r 20%|## | 2/10\r 30%|###| 3/10\n\n")
        assert last_lines(log, 2) == ["starts", "30%|###| 3/10"]

    def test_spans(self):
        assert [span(s) for s in (0.4, 61, 3600, 7325)] == ["0 s", "1 min 1 s", "1 h 0 min", "2 h 2 min"]

    def test_threads(self, tmp_path):
        params = tmp_path / "params.yaml"
        assert machine.threads(params) == 1
        for text, expected in (("threads: 2", 2), ("a: 1", 1), ("threads: two", 1), ("threads: [", 1), ("3", 1)):
            params.write_text(text)
            assert machine.threads(params) == expected


class TestScreen:
    def test_the_stages_that_run_are_shown_with_their_own_bars(self, tmp_path):
        log = tmp_path / "log"
        log.write_text("starts\r 10%|#   | 1/10 [00:01<00:09]\r 20%|##  | 2/10 [00:02<00:08]")
        screen = Screen(console=Console(width=80, file=io.StringIO(), force_terminal=True))
        with screen:
            screen.begin(3, 2, lambda: "; about 8 s left")
            screen.started("train@a", log)
            screen.ended("code", "unchanged")
            screen.ended("figure", "ran", 61.0)
            with screen.console.capture() as capture:
                screen.console.print(screen.picture())
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capture.get())
        assert shown.split("\n")[0].split() == ["train@a", "0", "s", "20%|##", "|", "2/10", "[00:02<00:08]"]
        assert "2 of 3 stages done, 1 running, 0 to do; about 8 s left" in shown
        printed = screen.console.file.getvalue()
        assert "[2/3] figure: ran, 1 min 1 s" in printed
        assert "code" not in printed


class TestForks:
    def test_what_is_imported_before_the_fork(self, monkeypatch, tmp_path):
        """In any folder, such as a study's."""
        monkeypatch.chdir(tmp_path)
        found = forks.names()
        assert {"torch", "numpy", "pandas", "gensim.models", "matplotlib.figure"} <= set(found)
        assert "BaseModel" in found["pydantic"]
        assert not {module for module in found if module.partition(".")[0] in ("mmvae", "stages", "fanout")}

    def test_nothing_is_imported_for_other_projects(self, monkeypatch, tmp_path):
        for folder, ours in ((ROOT / "studies/figure2", True), (write_trivial(tmp_path / "other", 1), False)):
            monkeypatch.chdir(folder)
            assert forks.of_this_project() == ours

    @pytest.mark.slow
    def test_no_thread_runs_before_the_fork(self):
        """Or OpenMP's threads would be missing in every fork."""
        if not Path("/proc/self/task").exists():
            pytest.skip("this system does not say which threads a process has")
        code = (
            "import os, sys, fanout.preload; print('pydantic.main' in sys.modules, len(os.listdir('/proc/self/task')))"
        )
        assert call(ROOT, "python", "-c", code).split()[-2:] == ["True", "1"]


def test_processors_of_one_name_and_other_instructions_are_two_kinds(tmp_path):
    """As a cloud has them: they round differently."""
    core, info = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fma {} sse4_1\n", tmp_path / "cpuinfo"
    kinds = []
    for flags in ("avx avx2", "avx2 avx512f avx512_bf16", ""):
        info.write_text(core.format(flags) + core.format(flags).replace(": 0", ": 1"))
        kinds.append(machine.processor(info))
    assert kinds == ["AMD EPYC, avx2", "AMD EPYC, avx512_bf16", "AMD EPYC"]
    assert machine.processor(tmp_path / "no such file")


@pytest.mark.parametrize(
    ("visible", "found"), [("", []), ("7", ["7"]), ("1, 0", ["1", "0"]), ("-1", []), ("0,-1,2", ["0"])]
)
def test_the_gpus_that_cuda_would_see(visible, found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == found
