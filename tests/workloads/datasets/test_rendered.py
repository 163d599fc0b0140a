"""Rendering: classes by name, normals from depth, and what is said where it cannot be done."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import manifest, rendered


@pytest.mark.parametrize(
    ("body", "ancestors", "wanted"),
    [
        ("world", (), "floor"),
        ("tablelink", ("world",), "table"),
        ("right_l4_2", (), "arm"),
        ("right_hand_camera", (), "arm"),
        ("right_hand", (), "gripper"),
        ("leftpad", (), "gripper"),
        ("handle_link", (), "part"),
        ("hammer", (), "object"),
        ("hammerblock", (), "fixture"),
        ("plug_wall", (), "fixture"),
        ("buttonbox", (), "fixture"),
        ("wall", (), "fixture"),
        ("", ("", "drawer_link", "drawer"), "part"),
        ("", (), "floor"),
    ],
)
def test_bodies_have_classes_by_name(body: str, ancestors: tuple[str, ...], wanted: str) -> None:
    assert rendered.CLASSES[rendered.class_of(body, ancestors)] == wanted


def test_normals_of_a_tilted_plane() -> None:
    size, view = 32, 45.0
    wanted = np.array([0.3, -0.5, -0.8]) / np.linalg.norm([0.3, -0.5, -0.8])
    focal = size / 2 / np.tan(np.deg2rad(view) / 2)
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / focal
    depth = (2 * wanted[2] / (wanted[0] * x + wanted[1] * y + wanted[2])).astype(np.float32)  # n . p = 2 n_z
    same = np.zeros((size, size), dtype=bool)
    same[1:-1, 1:-1] = True
    found = rendered.normals(depth, same, view)
    np.testing.assert_allclose(found[1:-1, 1:-1], np.broadcast_to(wanted, (size - 2, size - 2, 3)), atol=1e-4)
    assert not found[0].any()


def test_neighbours_agree_inside_one_geometry_only() -> None:
    labels = np.zeros((5, 6), dtype=np.int64)
    labels[:, 3:] = 1
    agree = rendered.neighbours_agree(labels)
    assert agree[1:-1, 1].all()
    assert agree[1:-1, 4].all()
    assert not agree[:, 2:4].any()
    assert not agree[0].any()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"scalarize\[dense\]"):
        rendered.scene_files()


@pytest.mark.parametrize("error", [ImportError("libEGL"), AttributeError("eglQueryString"), RuntimeError("no display")])
def test_without_egl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    class Model:
        @staticmethod
        def from_xml_path(path: str) -> None:
            raise error

    fake: Any = ModuleType("mujoco")
    fake.MjModel = Model
    monkeypatch.setitem(sys.modules, "mujoco", fake)
    with pytest.raises(RunError, match="libegl1") as caught:
        rendered.Renderer(Path("scene.xml"))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="the extra dense is not installed")
def test_real_scenes_are_rendered_alike_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = rendered.scene_files()[:2]
    monkeypatch.setattr(rendered, "scene_files", lambda: two)
    contents = []
    for place in ("a", "b"):
        try:
            rendered.build(tmp_path / place, frames=4)
        except RunError as error:
            pytest.skip(str(error))
        contents.append(rendered.load(tmp_path / place))
    first, second = contents
    assert all(np.array_equal(first[key], second[key]) for key in ("depth", "classes", "normals", "scene"))
    assert len(first["scene"]) == 4
    assert {0, 1} <= set(np.unique(first["classes"]))
    assert len(np.unique(first["rgb"][0])) > 20
    assert manifest.present(tmp_path / "a" / rendered.FOLDER, rendered.FILE)
