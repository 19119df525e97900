"""Folder with every kind of bad or odd file, and the expected result for each."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

# Transposition of an upright picture -> as a camera of that EXIF orientation stores it.
_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
TURNED = "turned upright according to EXIF"
FIRST_FRAME = "animated: its first frame is used"


@dataclass(frozen=True)
class Kind:
    """File of the corpus.

    Attributes:
        name: File name within its class folder; bytes if it is not UTF-8.
        content: Content of the file, or a function that creates something else at its path.
        reason: Reason for its quarantine, as a regular expression; None if it is used.
        repaired: Reasons for its conversion.
        noticed: Other remarks.
    """

    name: str | bytes
    content: bytes | Callable[[Path], None]
    reason: str | None = None
    repaired: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """Name in quarantine.csv."""
        name = self.name if isinstance(self.name, bytes) else self.name.encode()
        return name.decode("utf-8", "backslashreplace")

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, and return its path."""
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(self.name)))
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content)
        return path


def make_scene(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    """Make smooth colours, similar to a photograph for a decoder."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(picture: Image.Image, format_name: str, **options) -> bytes:
    """Encode a picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def make_exif(orientation: int) -> bytes:
    """Make EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x0112] = orientation
    return exif.tobytes()


def make_turned(orientation: int, seed: int = 100) -> bytes:
    """Store one photograph in the eight EXIF orientations."""
    scene = make_scene(seed)
    stored = scene.transpose(_STORED_AS[orientation]) if orientation > 1 else scene
    exif = make_exif(orientation)
    return encode(stored, "JPEG", exif=exif, quality=98, subsampling=0)


def _make_png(width: int, height: int, bits: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _make_deep(seed: int, shift: int) -> bytes:
    """Make a PNG of 16 bits whose values use fewer bits."""
    values = np.asarray(make_scene(seed)).astype(np.uint16) * 257 >> shift
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return _make_png(96, 64, 16, zlib.compress(rows))


def _make_deep_ppm(seed: int) -> bytes:
    values = np.asarray(make_scene(seed)).astype(">u2") * 257
    return b"P6 96 64 65535\n" + values.astype(">u2").tobytes()


def _make_tiff(seed: int, channels: int, kind: type) -> bytes:
    """Make a TIFF of numbers of any kind; its tags do not define channels beyond the third."""
    values = np.asarray(make_scene(seed))[..., np.arange(channels) % 3].astype(kind)
    largest = np.iinfo(kind).max if kind is np.uint16 else 255
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        (values * (largest // 255)).astype(kind),
        photometric="rgb",
        extrasamples=["unspecified"] * (channels - 3),
    )
    return buffer.getvalue()


def _without_adobe_mark(jpeg: bytes) -> bytes:
    place = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    return jpeg[:place] + jpeg[place + 16 :]


def _transparent(seed: int) -> Image.Image:
    picture = make_scene(seed).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def _frames(seed: int) -> dict[str, object]:
    return {"save_all": True, "append_images": [make_scene(seed + 500)], "duration": 80}


def _link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _make_kinds() -> tuple[Kind, ...]:
    jpeg, png = encode(make_scene(1), "JPEG"), encode(make_scene(2), "PNG")
    gif, webp = encode(make_scene(3), "GIF", **_frames(3)), encode(make_scene(4), "WEBP")
    cmyk = encode(make_scene(5).convert("CMYK"), "JPEG")
    palette = make_scene(18).convert("P")
    cut = "cut off|damaged"
    return (
        *(Kind(f"cut_{share}.jpg", jpeg[: len(jpeg) * share // 100], cut) for share in (1, 50, 99)),
        *(Kind(f"cut_{share}.png", png[: len(png) * share // 100], cut) for share in (50, 99)),
        Kind("cut.gif", gif[:-60], "cut off|damaged"),
        Kind("cut.webp", webp[:-60], "cut off|damaged|not a known picture format"),
        Kind(
            "cut_and_closed.jpg",
            encode(make_scene(6, 240, 160), "JPEG", quality=95)[:-2500] + b"\xff\xd9",
            "cut off: a JPEG with an end mark, but without part of its picture",
        ),
        Kind("empty.jpg", b"", "the file is empty"),
        Kind("page.jpg", b"<!DOCTYPE html><html>404</html>", "an HTML page, not a picture"),
        Kind("pointer.jpg", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        Kind("text.jpg", b"a note on this picture", "a text, not a picture"),
        Kind("random.jpg", bytes(range(200, 256)) * 9, "not a known picture format"),
        Kind("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which is not decoded"),
        Kind("phone.jpg", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "AVIF, which is not decoded"),
        Kind("bomb.png", _make_png(23_000, 23_000, 8, b""), "23000 x 23000 pixels; at most 100"),
        Kind("cmyk_adobe.jpg", cmyk),
        Kind(
            "cmyk.jpg",
            _without_adobe_mark(encode(make_scene(7).convert("CMYK"), "JPEG")),
            repaired=("CMYK",),
        ),
        Kind("16_bits.png", _make_deep(8, 0)),
        Kind("12_bits.png", _make_deep(9, 4)),
        Kind("16_bits.ppm", _make_deep_ppm(50), repaired=("PPM",)),
        Kind("16_bits.tif", _make_tiff(51, 3, np.uint16), repaired=("TIFF",)),
        Kind("signed.tif", _make_tiff(52, 3, np.int16), "signed numbers of an unknown range"),
        Kind("fractions.tif", _make_tiff(53, 3, np.float32), "fractions of an unknown range"),
        Kind("32_bits.tif", _make_tiff(54, 3, np.uint32), "32 bits per value"),
        Kind("5_channels.tif", _make_tiff(55, 5, np.uint8), r"5 channels \("),
        Kind("4_channels.tif", _make_tiff(56, 4, np.uint8), r"4 channels \("),
        Kind("1_bit.png", encode(make_scene(10).convert("1"), "PNG")),
        Kind(
            "palette.png",
            encode(make_scene(11).convert("P"), "PNG", transparency=bytes(range(256))),
        ),
        Kind("rgba.png", encode(_transparent(12), "PNG")),
        Kind("rgba.webp", encode(_transparent(13), "WEBP")),
        Kind("grey.jpg", encode(make_scene(14).convert("L"), "JPEG")),
        Kind("grey_alpha.png", encode(_transparent(15).convert("LA"), "PNG")),
        Kind("animated.gif", encode(make_scene(16), "GIF", **_frames(16)), noticed=(FIRST_FRAME,)),
        Kind(
            "animated.webp",
            encode(make_scene(17), "WEBP", **_frames(17)),
            repaired=("animated WEBP",),
            noticed=(FIRST_FRAME,),
        ),
        Kind(
            "transparent.gif",
            encode(palette, "GIF", transparency=palette.getpixel((0, 0))),
            repaired=("GIF with transparent parts",),
        ),
        Kind("exif_1.jpg", make_turned(1)),
        *(Kind(f"exif_{i}.jpg", make_turned(i), noticed=(TURNED,)) for i in range(2, 9)),
        Kind(
            "exif.png",
            encode(make_scene(19), "PNG", exif=make_exif(6)),
            repaired=("EXIF orientation",),
            noticed=(TURNED,),
        ),
        Kind("progressive.jpg", encode(make_scene(20), "JPEG", progressive=True)),
        Kind(
            "trailing.jpg",
            encode(make_scene(21), "JPEG") + b"more",
            None,
            (),
            ("bytes after the end",),
        ),
        Kind(
            "png.jpg",
            encode(make_scene(22), "PNG"),
            noticed=("ending does not match the content",),
        ),
        Kind("UPPER.JPG", encode(make_scene(23), "JPEG")),
        Kind("no_ending", encode(make_scene(24), "JPEG")),
        Kind("picture.tif", encode(make_scene(25), "TIFF"), repaired=("TIFF",)),
        Kind("picture.bmp", encode(make_scene(26), "BMP")),
        Kind(
            "palette.bmp", encode(make_scene(27).convert("P"), "BMP"), repaired=("BMP of mode P",)
        ),
        Kind("picture.ppm", encode(make_scene(28), "PPM"), repaired=("PPM",)),
        Kind("1x1.png", encode(make_scene(29, 1, 1), "PNG")),
        Kind("1x30000.png", encode(make_scene(30, 1, 30_000), "PNG")),
        Kind(b"caf\xe9.jpg", encode(make_scene(31), "JPEG"), "not UTF-8"),
        Kind("new\nline.jpg", encode(make_scene(32), "JPEG")),
        Kind("-dash.jpg", encode(make_scene(33), "JPEG")),
        Kind("a" * 251 + ".jpg", encode(make_scene(34), "JPEG")),
        Kind("dangling.jpg", _link_to("gone.jpg"), "a link that leads nowhere"),
        Kind("round.jpg", _link_to("round.jpg"), "a circular link"),
        Kind("escaping.jpg", _link_to("../../../outside.jpg"), "leads by a link to .*, outside"),
        Kind("pipe.jpg", os.mkfifo, "a pipe or device, not a file"),
    )


KINDS = _make_kinds()
# Name within the data folder -> why it is left aside.
IGNORED = {
    "train/cat/.DS_Store": ".DS_Store",
    "train/cat/._exif_1.jpg": "hidden",
    "train/cat/Thumbs.db": "Thumbs.db",
    "train/cat/notes.txt": "ending .txt",
    "train/dog/.ipynb_checkpoints/a-checkpoint.jpg": ".ipynb_checkpoints",
    "train/__MACOSX/cat/exif_1.jpg": "__MACOSX",
    "labels.csv": "ending .csv",
    "spare/x.jpg": "in folder 'spare', which is not a split",
}
# Copies: name -> why it is quarantined.
COPIES = {
    "train/cat/both.jpg": "the same picture as train/dog/both.jpg, which is labelled 'dog'",
    "train/dog/both.jpg": "the same picture as train/cat/both.jpg, which is labelled 'cat'",
    "train/dog/leak.jpg": "the same picture as val/dog/judged.jpg, which is in the validation",
}
NUM_PLAIN = 12


def write_corpus(root: Path, make_picture_folder: Callable[..., Path]) -> int:
    """Write the data folder, and return its number of files."""
    for split in ("train", "val"):
        make_picture_folder(root / split, classes=("cat", "dog"), per_class=NUM_PLAIN)
    for path in (root / "val").glob("*/*.png"):
        # Other pictures than those of train.
        Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)
    for kind in KINDS:
        kind.write(root / "train" / "cat")
    (root.parent / "outside.jpg").write_bytes(encode(make_scene(40), "JPEG"))
    for name in IGNORED:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"what the system left")
    for name in ("train/cat/both.jpg", "train/dog/both.jpg"):
        (root / name).write_bytes(encode(make_scene(41), "JPEG"))
    for name in ("train/dog/leak.jpg", "val/dog/judged.jpg"):
        (root / name).write_bytes(encode(make_scene(42), "JPEG"))
    return 4 * NUM_PLAIN + len(KINDS) + len(IGNORED) + 4
