"""Files that are no pictures, told by how they begin."""

from __future__ import annotations

from kft.modalities.checked import UnusableError

# What a file must begin with to be refused by name, and what is said of it.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the picture; run `git lfs pull`"),
    (b"<!doctype html", "an HTML page, not a picture; the download failed"),
    (b"<html", "an HTML page, not a picture; the download failed"),
    (b"<svg", "an SVG drawing; convert it to PNG"),
    (b"<?xml", "an XML text, not a picture"),
    (b"%pdf", "a PDF document; convert its pages to PNG"),
    (b"pk\x03\x04", "a ZIP archive, not a picture; unpack it"),
)
# Bytes 8 to 12 of a file that bytes 4 to 8 call `ftyp`.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_JPEG_XL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")


def refuse_stranger(content: bytes) -> None:
    """Refuse what is no picture by its first bytes, of which some thousand are enough.

    Raises:
        UnusableError: It says what was found.
    """
    if not content:
        raise UnusableError("the file is empty")
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _STRANGERS:
        if start.startswith(beginning):
            raise UnusableError(what)
    if content.startswith(_JPEG_XL):
        raise UnusableError("JPEG XL, which is not decoded; convert it to JPEG or PNG")
    if content[4:8] == b"ftyp":
        brand = _BRANDS.get(content[8:12])
        if brand is None:
            raise UnusableError("a video, not a picture")
        raise UnusableError(f"{brand}, which is not decoded; convert it to JPEG or PNG")


def is_text(content: bytes) -> bool:
    """Whether what is no picture reads as a text."""
    # So begin pictures of which too little is left.
    if content.startswith((b"GIF8", b"BM", b"RIFF", b"P")):
        return False
    # The last character may be cut off.
    start = content[:500].decode("utf-8", "ignore")
    return len(start.encode()) > min(len(content), 500) - 4 and all(
        character.isprintable() or character.isspace() for character in start
    )
