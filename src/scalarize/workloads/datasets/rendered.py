"""Pictures, depth, classes and normals of the Sawyer scenes that the metaworld wheel ships, rendered by mujoco.

Each frame has a random pose and a random camera, from one seed. Rendering needs the extra ``dense`` and EGL (or
``MUJOCO_GL=osmesa``); the frames are kept in one tensor file, so training needs neither.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scalarize.utils.errors import RequestError, RunError
from scalarize.utils.seeds import derive
from scalarize.workloads.datasets import manifest

FOLDER, FILE = "rendered-scenes", "scenes-64.pt"
SIDE = 64
FRAMES = 10_000  # in all
CLASSES = ("floor", "table", "arm", "gripper", "object", "part", "fixture")
NOTHING = 255  # the class of a pixel that shows no geometry
REMEDY = "run `scalarize data get rendered-scenes` (needs the extra: pip install 'scalarize[dense]')"
EGL = "install EGL (Debian: libegl1 libgles2 libgl1-mesa-dri), or set MUJOCO_GL=osmesa"

# Bodies by name, the first that fits; what none names is a fixture: boxes, walls, shelves, cases, goals.
_PREFIXES = (
    ("table", ("tablelink", "RetainingWall")),
    ("gripper", ("hand", "right_hand", "rightclaw", "rightpad", "leftclaw", "leftpad")),
    ("arm", ("base", "controller_box", "pedestal", "torso", "right_", "head", "screen", "mocap")),
    ("object", ("obj", "block", "bsktball", "basketball", "RoundNut", "peg", "plug", "mug", "hammer", "stick", "club")),
    ("object", ("puck", "soccer_ball")),
    ("part", ("button", "cmbutton", "door_link", "drawer_link", "faucet_link", "dial", "lever_link")),
    ("part", ("laptoplid", "window", "lock_link", "top_link", "nail_link", "boxbodytop")),
)
_EXCEPTIONS = {
    **{"right_hand_camera": "arm", "plug_wall": "fixture", "basketballhoop": "fixture", "hammerblock": "fixture"},
    **{"puck_goal": "fixture", "buttonbox": "fixture", "handle_link": "part", "world": "floor"},
}


def class_of(body: str, ancestors: Sequence[str] = ()) -> int:
    """Return the class of a body's geometry, an index into CLASSES; an unnamed body belongs to its nearest named
    ancestor.
    """
    named = body or next((a for a in ancestors if a), "world")
    kind = _EXCEPTIONS.get(named) or next((k for k, heads in _PREFIXES if named.startswith(heads)), "fixture")
    return CLASSES.index(kind)


def normals(depth: NDArray[np.float32], same: NDArray[np.bool_], field_of_view: float) -> NDArray[np.float32]:
    """Return unit normals (H, W, 3) in camera coordinates (x right, y down, z away), towards the camera; 0 if unknown.

    They are central differences of the visible points, known for inner pixels only.

    Args:
        depth: metres along the optical axis, (H, W).
        same: True if the four neighbours belong to the same geometry, (H, W).
        field_of_view: vertical, in degrees.
    """
    height, width = depth.shape
    focal = height / 2 / np.tan(np.deg2rad(field_of_view) / 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    points = np.stack([(x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal, np.ones_like(x)], -1)
    points = points * depth[..., None]
    along_x, along_y = np.zeros_like(points), np.zeros_like(points)
    along_x[:, 1:-1] = points[:, 2:] - points[:, :-2]
    along_y[1:-1] = points[2:] - points[:-2]
    found = np.cross(along_y, along_x)
    length = np.linalg.norm(found, axis=-1, keepdims=True)
    known = same[..., None] & (length > 0)
    unit: NDArray[np.float32] = np.where(known, found / np.where(length > 0, length, 1), 0).astype(np.float32)
    return unit


def neighbours_agree(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask (H, W) of pixels whose four neighbours carry the same label; False along the border."""
    agree = np.zeros(labels.shape, dtype=bool)
    inner = labels[1:-1, 1:-1]
    around = (labels[:-2, 1:-1], labels[2:, 1:-1], labels[1:-1, :-2], labels[1:-1, 2:])
    agree[1:-1, 1:-1] = np.logical_and.reduce([inner == other for other in around])
    return agree


def scene_files() -> list[Path]:
    """Return the scenes of the installed metaworld, sorted. Raises RequestError if it is not installed."""
    spec = importlib.util.find_spec("metaworld")
    if spec is None or spec.origin is None:
        raise RequestError("metaworld is not installed: pip install 'scalarize[dense]'")
    return sorted((Path(spec.origin).parent / "assets" / "sawyer_xyz").glob("sawyer_*.xml"))


class Renderer:
    """A renderer of one scene. Raises RunError if no OpenGL context is available."""

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("MUJOCO_GL", "egl")
        try:
            import mujoco

            self.mujoco: Any = mujoco
            self.model: Any = mujoco.MjModel.from_xml_path(str(path))
            self.context: Any = mujoco.Renderer(self.model, SIDE, SIDE)
        except ModuleNotFoundError as error:
            raise RequestError(f"{error.name} is not installed: pip install 'scalarize[dense]'") from None
        except (ImportError, AttributeError, RuntimeError, OSError) as error:
            raise RunError(f"mujoco cannot render here: {EGL} ({str(error).splitlines()[0]})") from None
        flags = self.context.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self.data: Any = mujoco.MjData(self.model)
        self.option: Any = mujoco.MjvOption()
        self.option.sitegroup[:] = 0  # goals and other marks are no geometry
        self.classes = np.array([self._class(int(body)) for body in self.model.geom_bodyid], dtype=np.uint8)

    def _class(self, body: int) -> int:
        ancestors, parent = [], body
        while parent:
            parent = int(self.model.body_parentid[parent])
            ancestors.append(self.model.body(parent).name)
        return class_of(self.model.body(body).name, ancestors)

    def pose(self, rng: np.random.Generator) -> None:
        """Draw joints within a quarter of their range around the initial pose, and move free bodies by up to 20 cm."""
        m, d = self.model, self.data
        d.qpos[:] = m.qpos0
        for joint in range(m.njnt):
            at = int(m.jnt_qposadr[joint])
            low, high = m.jnt_range[joint]
            if m.jnt_type[joint] == self.mujoco.mjtJoint.mjJNT_FREE:
                d.qpos[at : at + 2] += rng.uniform(-0.2, 0.2, 2)
            elif m.jnt_limited[joint]:
                d.qpos[at] = np.clip(d.qpos[at] + rng.uniform(-0.25, 0.25) * (high - low), low, high)
        for step in (self.mujoco.mj_kinematics, self.mujoco.mj_comPos, self.mujoco.mj_camlight):
            step(m, d)

    def camera(self, rng: np.random.Generator) -> Any:
        """Draw a camera position around the middle of the table, looking down at it."""
        camera = self.mujoco.MjvCamera()
        camera.lookat[:] = np.array([0.0, 0.6, 0.1]) + rng.uniform(-0.15, 0.15, 3)
        camera.distance, camera.azimuth = rng.uniform(0.7, 1.6), rng.uniform(0, 360)
        camera.elevation = rng.uniform(-65, -20)
        return camera

    def frame(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Render one frame.

        Returns:
            rgb (3, H, W) uint8; depth (H, W) float16, metres, 0 if nothing is visible; classes (H, W) uint8, NOTHING
            there; normals (3, H, W) int8, 127 times the unit vector, 0 if unknown.
        """
        self.pose(rng)
        context = self.context
        context.update_scene(self.data, self.camera(rng), scene_option=self.option)
        rgb = context.render().copy()
        context.enable_depth_rendering()
        depth = context.render().copy()
        context.disable_depth_rendering()
        context.enable_segmentation_rendering()
        ids = context.render()[..., 0].copy()
        context.disable_segmentation_rendering()
        seen = ids >= 0
        unit = normals(depth, neighbours_agree(ids) & seen, float(self.model.vis.global_.fovy))
        return {
            "rgb": rgb.transpose(2, 0, 1),
            "depth": np.where(seen, depth, 0).astype(np.float16),
            "classes": np.where(seen, self.classes[ids.clip(0)], NOTHING).astype(np.uint8),
            "normals": np.rint(127 * unit).astype(np.int8).transpose(2, 0, 1),
        }

    def close(self) -> None:
        """Release the OpenGL context."""
        self.context.close()


def build(root: Path, frames: int = FRAMES, seed: int = 0, say: Callable[[str], None] | None = None) -> Path:
    """Render ``frames`` frames, the same number of each scene, and store them with their provenance; return the folder.

    Equal seeds and versions give equal poses and cameras; pixels may differ between OpenGL drivers.
    """
    scenes = scene_files()
    each = max(1, frames // len(scenes))
    parts: dict[str, list[torch.Tensor]] = {}
    for number, path in enumerate(scenes):
        if say:
            say(f"scene {number + 1}/{len(scenes)}: {path.stem}")
        renderer = Renderer(path)
        rng = np.random.default_rng(derive(seed, "scene", path.stem))
        made = [renderer.frame(rng) for _ in range(each)]
        renderer.close()
        for key in made[0]:
            parts.setdefault(key, []).append(torch.from_numpy(np.stack([frame[key] for frame in made])))
    tensors: dict[str, Any] = {key: torch.cat(chunks) for key, chunks in parts.items()}
    tensors["scene"] = torch.arange(len(scenes)).repeat_interleave(each)
    tensors["names"] = [path.stem for path in scenes]
    provenance = {
        "source": "scenes of the metaworld wheel, rendered by mujoco; shadows and reflections off",
        "licence": "MIT (Meta-World, Farama Foundation; the Sawyer model: Apache 2.0, Rethink Robotics)",
        "versions": {package: _version(package) for package in ("metaworld", "mujoco")},
        "scenes": {path.stem: manifest.sha256(path) for path in scenes},
        "seed": seed,
        "frames": each * len(scenes),
    }
    folder = root / FOLDER
    manifest.write(folder, FILE, tensors, provenance)
    return folder


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def load(root: Path) -> dict[str, Any]:
    """Load what :func:`build` stored. Raises RequestError if it is missing or damaged."""
    content: dict[str, Any] = manifest.load(root / FOLDER, FILE, REMEDY)
    return content
