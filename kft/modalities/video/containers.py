"""The kind of a video file, told by its first bytes; files that hold no video are refused."""

from __future__ import annotations

from kft.modalities.checked import UnusableError
from kft.modalities.video.frame_file import MAGIC

GIF, FRAMES = "GIF", "frames"
# What a file must begin with to be refused by name, and what is said of it.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the video; run `git lfs pull`"),
    (b"<!doctype html", "an HTML page, not a video; the download failed"),
    (b"<html", "an HTML page, not a video; the download failed"),
    (b"<?xml", "an XML text, not a video"),
    (b"#extm3u", "a playlist that names a stream, not the video; download the video itself"),
    (b"%pdf", "a PDF document, not a video"),
    (b"pk\x03\x04", "a ZIP archive, not a video; unpack it"),
    (b"\x1f\x8b", "a gzip archive, not a video; unpack it"),
    (b"\x89png", "a picture, not a video; a folder of frames is one example"),
    (b"\xff\xd8\xff", "a picture, not a video; a folder of frames is one example"),
    (b"id3", "a recording, which has no frames"),
    (b"flac", "a recording, which has no frames"),
)
_STARTS = {
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    MAGIC: FRAMES,
    b"\x1aE\xdf\xa3": "WebM or Matroska",
    b"OggS": "OGG",
    b"FLV\x01": "FLV",
    b"\x30\x26\xb2\x75": "WMV",
    b"\x00\x00\x01\xba": "MPEG",
    b"\x00\x00\x01\xb3": "MPEG",
}
# Names of the first box of a file of the family of MP4.
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def find_container(content: bytes) -> str:
    """The name of a file's format by its first bytes: `MP4 or MOV`, `WebM or Matroska`, `GIF` …

    Raises:
        UnusableError: It is no video, or none that can be decoded; says what was found.
    """
    if not content:
        raise UnusableError("the file is empty")
    for start, name in _STARTS.items():
        if content.startswith(start):
            return name
    if content[4:8] in _BOXES:
        return "MP4 or MOV"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "AVI"
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _STRANGERS:
        if start.startswith(beginning):
            raise UnusableError(what)
    if content.startswith(b"RIFF"):
        raise UnusableError("cut off, or a RIFF file of another kind than AVI")
    raise UnusableError("no format of video that is known; convert it to MP4 or WebM")
