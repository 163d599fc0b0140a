"""Tiny data sets in the published files' own layouts."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scalarize.workloads.celeba import ATTRIBUTES
from scalarize.workloads.datasets import cifar, manifest, rendered, taskonomy
from scalarize.workloads.domainnet import DOMAINS


def pictures(count: int, side: int, seed: int = 0, detail: int = 4) -> np.ndarray:
    """Smooth random pictures (count, 3, side, side) uint8, ``detail`` colours a side, each unlike the others."""
    coarse = torch.rand(count, 3, detail, detail, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear").byte().numpy()


def write_cifar(root: Path, layout: str = cifar.PYTHON, rows: int = 4) -> None:
    """Six batches of ``rows`` samples; labels go round the ten classes."""
    folder = root / layout
    folder.mkdir(parents=True)
    for number, name in enumerate((*cifar.SPLITS["train"], *cifar.SPLITS["test"])):
        data = pictures(rows, 32, number).reshape(rows, -1)
        labels = [(number * rows + k) % 10 for k in range(rows)]
        if layout == cifar.PYTHON:  # as python 2 wrote them: protocol 2, byte strings
            batch = {b"batch_label": name.encode(), b"labels": labels, b"data": data, b"filenames": [b"a.png"] * rows}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
        else:
            table = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1)
            (folder / f"{name}.bin").write_bytes(table.tobytes())


def write_stl(root: Path, count: int = 10) -> None:
    """Images stored column by column, labels from 1 to 10."""
    folder = root / cifar.STL
    folder.mkdir(parents=True)
    for split, (images, labels) in cifar.STL_FILES.items():
        stored = pictures(count, 96, 50 + len(split)).transpose(0, 1, 3, 2)
        (folder / images).write_bytes(np.ascontiguousarray(stored).tobytes())
        (folder / labels).write_bytes(bytes(1 + k % 10 for k in range(count)))


def write_celeba(root: Path, count: int = 12) -> Path:
    """Aligned faces and the two lists; the attributes of a face are the digits of its number in base 2."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{k:06d}.jpg" for k in range(1, count + 1)]
    for name, picture in zip(names, pictures(count, 218, 3), strict=True):
        Image.fromarray(picture.transpose(1, 2, 0)[:, :178].copy()).save(folder / "img_align_celeba" / name, quality=95)
    rows = [
        name + " " + " ".join(" 1" if (k * 2654435761 >> a) & 1 else "-1" for a in range(40))
        for k, name in enumerate(names, start=1)
    ]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(count), " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
    sides = [0] * (count - 4) + [1, 1, 2, 2]
    lines = [f"{name} {side}" for name, side in zip(names, sides, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_domainnet(root: Path, classes: int = 3, side: int = 40) -> Path:
    """A picture a class in each domain and split; names with spaces are as published."""
    folder = root / "domainnet"
    for number, domain in enumerate(DOMAINS):
        for split in ("train", "test"):
            lines = []
            for label, picture in enumerate(pictures(classes, side, 10 * number + len(split))):
                name = (
                    f"{domain}/the class {label}/{domain}_{split}_{label}.{'png' if domain == 'quickdraw' else 'jpg'}"
                )
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.transpose(1, 2, 0).copy()).save(folder / name)
                lines.append(f"{name} {label * 100}")
            (folder / f"{domain}_{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_taskonomy(root: Path, views: int = 3, side: int = 40, detail: int = 4) -> Path:
    """Three buildings, one a split; 16-bit depth, edges and keypoints, 8-bit the rest."""
    folder = root / "taskonomy"
    splits = {"ackermanville": "1,0,0", "beechwood": "0,1,0", "corozal": "0,0,1"}
    for number, building in enumerate(splits):
        for kind, channels in {"rgb": 3, **taskonomy.CHANNELS}.items():
            stack = pictures(views, side, 100 * number + len(kind), detail)
            (folder / kind / building).mkdir(parents=True)
            for view in range(views):
                picture = stack[view].transpose(1, 2, 0)
                if kind in ("depth_zbuffer", "edge_occlusion", "keypoints2d"):
                    image = Image.fromarray(picture[..., 0].astype(np.uint16) * 40)
                elif kind == "segment_unsup2d" and channels == 1:
                    image = Image.fromarray(picture[..., 0].copy())
                else:
                    image = Image.fromarray(picture.copy())
                image.save(folder / kind / building / f"point_{view}_view_0_domain_{kind}.png")
    lines = ["id,train,val,test", *(f"{b},{sides}" for b, sides in splits.items())]
    (folder / "train_val_test_tiny.csv").write_bytes("\r".join(lines).encode())  # published with bare returns
    return folder


def write_cityscapes_arrays(root: Path, classes: int = 7, counts: tuple[int, int] = (10, 3)) -> Path:
    """MTAN's preprocessed folders: pictures in [0, 1], labels with -1 for unknown, inverse depth with 0 for unknown."""
    folder = root / "cityscapes"
    for number, (side, count) in enumerate(zip(("train", "val"), counts, strict=True)):
        for kind in ("image", "label_7" if classes == 7 else "label", "depth"):
            (folder / side / kind).mkdir(parents=True)
        for k, picture in enumerate(pictures(count, 256, 70 + number)):
            view = picture[:, ::2].transpose(1, 2, 0)  # (128, 256, 3)
            label = (view[..., 0].astype(np.float64) * classes // 256) - 0.0
            label[:4] = -1
            depth = (view[..., 1:2] / 1000.0).astype(np.float32)
            depth[:, :6] = 0
            np.save(folder / side / "image" / f"{k}.npy", view / 255.0)
            np.save(folder / side / ("label_7" if classes == 7 else "label") / f"{k}.npy", label)
            np.save(folder / side / "depth" / f"{k}.npy", depth)
    return folder


def write_cityscapes_pictures(root: Path, counts: tuple[int, int] = (5, 2)) -> Path:
    """The published folders: 8-bit pictures and label identifiers, 16-bit disparities; half the published size here."""
    folder = root / "cityscapes"
    for number, (side, count) in enumerate(zip(("train", "val"), counts, strict=True)):
        for k, picture in enumerate(pictures(count, 512, 80 + number)):
            city = ("aachen", "bochum")[k % 2]
            name = f"{city}_{k:06d}_000019"
            view = picture[:, ::2].transpose(1, 2, 0)
            disparity = view[..., 1].astype(np.uint16) * 100 + 1
            disparity[:, :8] = 0
            parts = {
                "leftImg8bit": (view.copy(), "leftImg8bit"),
                "gtFine": ((view[..., 0] // 8 + 2).astype(np.uint8), "gtFine_labelIds"),
                "disparity": (disparity, "disparity"),
            }
            for place, (array, ending) in parts.items():
                (folder / place / side / city).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / place / side / city / f"{name}_{ending}.png")
    return folder


def write_rendered(root: Path, scenes: int = 8, frames: int = 3) -> Path:
    """Frames as rendering keeps them: a colour tells the class, depth falls from left to right, one normal a scene."""
    count = scenes * frames
    rgb = torch.from_numpy(pictures(count, 64, 90))
    classes = (rgb[:, 0] // 37).clamp(max=6)
    classes[:, :3] = rendered.NOTHING
    depth = (1 + rgb[:, 1].float() / 255).half()
    depth[:, :3] = 0
    scene = torch.arange(scenes).repeat_interleave(frames)
    angle = scene.double() / 2
    unit = torch.stack([angle.sin(), torch.zeros(count, dtype=torch.float64), -angle.cos()], dim=1)
    normal = (127 * unit).round().to(torch.int8)[:, :, None, None].repeat(1, 1, 64, 64)
    normal[:, :, :3] = 0
    tensors = {"rgb": rgb, "classes": classes, "depth": depth, "normals": normal, "scene": scene}
    folder = root / rendered.FOLDER
    manifest.write(folder, rendered.FILE, {**tensors, "names": [f"scene-{k}" for k in range(scenes)]}, {"seed": 0})
    return folder
