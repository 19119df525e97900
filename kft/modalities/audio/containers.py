"""The kind of a file of sound, told by its first bytes; files that hold none are refused."""

from __future__ import annotations

from kft.modalities.audio.wav_header import is_wav
from kft.modalities.checked import UnusableError

# What a file must begin with to be refused by name, and what is said of it.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the recording; run `git lfs pull`"),
    (b"<!doctype html", "an HTML page, not a recording; the download failed"),
    (b"<html", "an HTML page, not a recording; the download failed"),
    (b"<?xml", "an XML text, not a recording"),
    (b"%pdf", "a PDF document, not a recording"),
    (b"pk\x03\x04", "a ZIP archive, not a recording; unpack it"),
    (b"\x89png", "a picture, not a recording"),
    (b"\xff\xd8\xff", "a picture, not a recording"),
    (b"gif8", "a picture, not a recording"),
    (b"mthd", "a MIDI file, which holds notes and no sound"),
)
# First bytes of what soundfile decodes -> the name of the format.
_STARTS = {
    b"fLaC": "FLAC",
    b"OggS": "OGG",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b".snd": "AU",
    b"riff": "W64",
}
# What neither the graph nor soundfile decodes.
_FOREIGN = {
    b"\x30\x26\xb2\x75": "WMA",
    b"\x1aE\xdf\xa3": "WebM or Matroska",
    b"MAC ": "Monkey's Audio",
    b"wvpk": "WavPack",
    b"ADIF": "AAC",
    b"#!AMR": "AMR",
    b"caff": "CAF",
    b"RIFX": "WAV of the other byte order (RIFX)",
}


def find_container(content: bytes) -> str:
    """The name of a file's format by its first bytes: `WAV`, `FLAC`, `OGG`, `MP3` …

    Raises:
        UnusableError: It holds no sound, or none that can be decoded; says what was found.
    """
    if not content:
        raise UnusableError("the file is empty")
    if is_wav(content):
        return "WAV"
    for start, name in _STARTS.items():
        if content.startswith(start):
            return name
    # The eleven bits with which a frame of MPEG audio begins, layer 3.
    if content[0] == 0xFF and len(content) > 1 and content[1] & 0xE6 == 0xE2:
        return "MP3"
    raise UnusableError(_describe_stranger(content))


def _describe_stranger(content: bytes) -> str:
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _STRANGERS:
        if start.startswith(beginning):
            return what
    name = next((name for first, name in _FOREIGN.items() if content.startswith(first)), None)
    if content[4:8] == b"ftyp":
        name = "M4A or MP4"
    if content[0] == 0xFF and content[1:2] and content[1] & 0xF6 == 0xF0:
        name = "AAC"
    if name is not None:
        return f"{name}, which is not decoded; convert it to WAV or FLAC"
    if content.startswith(b"RIFF"):
        return "cut off, or a RIFF file of another kind than WAV"
    return "no format of sound that is known; convert it to WAV or FLAC"
