"""Recognition of files that are not pictures by their first bytes."""

from __future__ import annotations

from kft.modalities.checked import UnusableError

# First bytes of files that are refused by name, and the message.
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
    """Refuse a file that is not a picture by its first bytes; about a thousand are enough.

    Raises:
        UnusableError: The message says what the file is.
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
    """Whether a file that is not a picture reads as text."""
    # Truncated pictures begin like this.
    if content.startswith((b"GIF8", b"BM", b"RIFF", b"P")):
        return False
    # The last character may be cut off.
    start = content[:500].decode("utf-8", "ignore")
    return len(start.encode()) > min(len(content), 500) - 4 and all(
        character.isprintable() or character.isspace() for character in start
    )
