"""Files of videos: used as they are, converted once, or refused with the reason."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import check, encode_gif, encode_sound, encode_video, make_frames

from kft.config import VideoConfig
from kft.modalities import load_modality
from kft.modalities.checked import UnusableError
from kft.modalities.video import file_check
from kft.modalities.video.containers import find_container
from kft.modalities.video.file_check import WRONG_ENDING
from kft.modalities.video.frame_file import FrameFile, unpack_frames
from kft.modalities.video.inspection import CheckedVideo, Inspection
from kft.modalities.video.keeping import encode_picture

FRAMES = make_frames()
SMALL = VideoConfig(max_minutes=0.05, max_megapixels=0.01)


def pack(*frames: np.ndarray) -> bytes:
    return FrameFile(
        [encode_picture(Image.fromarray(frame), is_exact=True) for frame in frames]
    ).pack()


def read_kept(checked: CheckedVideo) -> list[np.ndarray]:
    kept = unpack_frames(Path(checked.path).read_bytes())
    return [np.asarray(Image.open(io.BytesIO(frame))) for frame in kept.frames]


FORMATS = {
    "mp4": ("a.mp4", "MP4 or MOV", "h264"),
    "webm": ("a.webm", "WebM or Matroska", "vp8"),
    "avi": ("a.avi", "AVI", "mjpeg"),
    "mov": ("a.mov", "MP4 or MOV", "mpeg4"),
    "matroska": ("a.mkv", "WebM or Matroska", "ffv1"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_graph_does_not_decode_is_converted_once(form, caches, monkeypatch):
    name, container, encoding = FORMATS[form]
    content = encode_video(FRAMES, form)
    checked = check(content, name)
    assert (checked.format, checked.encoding, checked.repaired) == (
        *(container, encoding),
        (container,),
    )
    assert (checked.width, checked.height, checked.num_frames) == (64, 48, 12)
    assert checked.rate == 10 and checked.seconds == 1.2 and not checked.noticed
    assert checked.path.startswith(str(caches)) and checked.path.endswith(".frames")
    assert checked.size == Path(checked.path).stat().st_size
    shown = read_kept(checked)
    assert np.abs(np.stack(shown).astype(int) - FRAMES).mean() < 8
    # It is not decoded again, and what is said of it stays.
    monkeypatch.setattr(file_check, "open_by_av", None)
    assert check(content, name, with_measures=True).changed_ns == checked.changed_ns


def test_a_gif_that_the_graph_shows_as_meant_is_used_as_it_is(caches):
    checked = check(encode_gif(FRAMES), "a.gif")
    assert checked.path == "/data/a.gif" and not checked.repaired and not checked.noticed
    assert (checked.format, checked.num_frames) == ("GIF", 12)
    assert checked.rate == pytest.approx(10)
    assert not list(caches.rglob("*.frames"))


def test_a_gif_that_is_larger_or_has_more_frames_than_are_kept_is_converted():
    content = encode_gif(FRAMES)
    smaller = check(content, "a.gif", VideoConfig(kept_side=32))
    assert smaller.repaired == ("GIF that is large or unusual",)
    assert read_kept(smaller)[0].shape == (32, 43, 3)
    fewer = check(content, "a.gif", VideoConfig(frames_per_second=5))
    assert len(read_kept(fewer)) == 6 and fewer.num_frames == 12


def test_frames_that_kft_packed_are_used_as_they_are():
    checked = check(pack(*FRAMES), "a.frames")
    assert checked.path == "/data/a.frames" and not checked.repaired
    assert (checked.encoding, checked.rate, checked.seconds) == ("PNG", None, None)


def test_a_frame_rate_thins_out_what_is_kept():
    content = encode_video(FRAMES)
    for rate, count in ((2, 3), (5, 6), (10, 12), (30, 12)):
        kept = read_kept(check(content, settings=VideoConfig(frames_per_second=rate)))
        assert len(kept) == count, rate


def test_a_video_is_stood_upright_with_square_pixels():
    av = pytest.importorskip("av")
    turned = av.open(io.BytesIO(encode_video(FRAMES)))
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        for frame in turned.decode(video=0):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert read_kept(check(content.getvalue()))[0].shape == (48, 128, 3)


BAD = {
    "empty": (b"", "the file is empty"),
    "a web page": (b"<!DOCTYPE html><html>", "an HTML page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "an archive": (b"PK\x03\x04" + bytes(50), "a ZIP archive"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a picture, not a video"),
    "a recording": (b"ID3" + bytes(50), "a recording, which has no frames"),
    "a playlist": (b"#EXTM3U\n", "a playlist that names a stream"),
    "a text": (b"hello, world", "no format of video that is known"),
    "a wave": (b"RIFF" + bytes(4) + b"WAVE" + bytes(50), "a RIFF file of another kind"),
    "noise after the first bytes": (
        b"\0\0\0\x18ftypmp42" + np.random.default_rng(0).bytes(500),
        "cut off|damaged",
    ),
    "half of a frame file": (pack(*FRAMES)[:-1000], "its frames cannot be listed"),
    "a frame file without frames": (pack(), "a file without frames"),
    "a frame that is no picture": (
        FrameFile([b"hello", b"world"]).pack(),
        "frame 1 is damaged, or no picture",
    ),
    "a frame that is cut off": (
        FrameFile([encode_picture(Image.fromarray(FRAMES[0]), is_exact=True)[:-500]] * 2).pack(),
        "frame 1 is damaged or cut off",
    ),
    "frames of two sizes": (
        pack(FRAMES[0], FRAMES[0][:40]),
        "frame 2 is 64 x 40, the first 64 x 48",
    ),
    "a GIF that is cut off": (encode_gif(FRAMES)[:-1], "the mark at the end of a GIF is missing"),
    "a GIF of one frame": (encode_gif(FRAMES[:1]), "a single frame, which is a picture"),
    "a blank GIF": (
        encode_gif([np.full((8, 8, 3), 90 + n % 2, np.uint8) for n in range(4)]),
        "every frame is the same plain colour|a single frame",
    ),
    "a GIF that is too long": (
        encode_gif(FRAMES, milliseconds=500),
        "minutes; at most 0.05 are decoded",
    ),
    "a GIF of too many pixels": (
        encode_gif(make_frames(2, height=120, width=160)),
        "megapixels; at most 0.01 are decoded",
    ),
    "too large a file": (b"GIF89a" + bytes(25_000_000), "the most that are decoded"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD)
def test_what_cannot_be_used_is_refused_with_the_reason(content, reason):
    with pytest.raises(UnusableError, match=reason):
        check(content, "a.x", SMALL)


def shrink_stated(content: bytes, name: bytes) -> bytes:
    """Change a name inside a file, so that what it names is not found."""
    assert name in content
    return content.replace(name, b"junk")


BAD_FILMS = {
    "cut off at the end": (lambda: encode_video(FRAMES, "webm")[:-40], "cut off: its headers"),
    "half of an AVI": (lambda: encode_video(FRAMES, "avi")[:8000], "cut off: its headers"),
    "the beginning of an MP4": (lambda: encode_video(FRAMES)[:1000], "cut off"),
    "sound only": (encode_sound, "sound only, no frames"),
    "no frames": (
        lambda: drop_frames(encode_video(FRAMES, "webm")),
        "no frames can be decoded|End of file",
    ),
    "one frame": (lambda: encode_video(FRAMES[:1]), "a single frame, which is a picture"),
    "one plain colour": (
        lambda: encode_video(np.full_like(FRAMES, 90)),
        "every frame is the same plain colour",
    ),
    "too long": (lambda: encode_video(FRAMES, rate=2), "0.1 minutes; at most 0.05 are decoded"),
    "too many pixels": (
        lambda: encode_video(make_frames(2, height=120, width=160)),
        "megapixels; at most 0.01 are decoded",
    ),
    "without an index": (lambda: shrink_stated(encode_video(FRAMES), b"moov"), "damaged|cut off"),
    "overwritten frames": (
        lambda: overwrite(encode_video(FRAMES, "avi"), b"00dc", 12),
        "damaged",
    ),
}


def forget_size(content: bytes) -> bytes:
    """A WebM file whose segment states no size, as of a recording that was not finished."""
    place = content.index(b"\x18\x53\x80\x67") + 4
    return content[:place] + b"\x01" + 7 * b"\xff" + content[place + 8 :]


def drop_frames(content: bytes) -> bytes:
    """The beginning of a WebM file, before its first frames."""
    return forget_size(content)[: content.index(b"\x1f\x43\xb6\x75")]


def overwrite(content: bytes, name: bytes, times: int) -> bytes:
    """Overwrite the beginnings of what has a name inside a file."""
    changed = bytearray(content)
    place = 0
    for _ in range(times):
        place = content.index(name, place) + 8
        changed[place : place + 200] = bytes(200)
    return bytes(changed)


@pytest.mark.parametrize(("make", "reason"), BAD_FILMS.values(), ids=BAD_FILMS)
def test_a_film_that_cannot_be_used_is_refused_with_the_reason(make, reason):
    pytest.importorskip("av")
    with pytest.raises(UnusableError, match=reason):
        check(make(), "a.x", SMALL)


def test_at_least_20_kinds_of_bad_input_are_refused():
    assert len(BAD) + len(BAD_FILMS) >= 20


def test_a_stream_that_ends_early_is_noticed_by_its_stated_duration():
    content = forget_size(encode_video(make_frames(30), "webm"))
    with pytest.raises(UnusableError, match=r"cut off: its header promises 3 s, the file ends"):
        check(content[: len(content) * 3 // 4], "a.webm")


def test_a_video_that_states_no_duration_is_used_and_noticed():
    content = encode_video(FRAMES, "webm", options={"live": "1"})
    (remark,) = check(content, "a.webm").noticed
    assert remark.startswith("states no duration")


def test_without_pyav_the_message_says_how_to_install_it(monkeypatch):
    content = encode_video(FRAMES)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UnusableError, match=r"MP4 or MOV, which needs PyAV.*kft\[video\]"):
        check(content)
    assert check(encode_gif(FRAMES), "a.gif").format == "GIF"


def test_what_is_worth_a_word_is_noticed():
    assert check(encode_gif(FRAMES), "a.mp4").noticed == (WRONG_ENDING,)
    assert check(encode_video(FRAMES, "matroska", with_sound=True), "a.mkv").has_sound


def test_a_video_is_measured_where_it_is_asked_for():
    still = np.repeat(FRAMES[:1], 12, axis=0)
    black = np.concatenate([np.zeros_like(FRAMES), FRAMES[:6]])
    moving, frozen, dark = (
        check(pack(*each), "a.frames", with_measures=True) for each in (FRAMES, still, black)
    )
    assert isinstance(moving, Inspection)
    assert moving.motion > 5 and moving.frozen_share == 0 and moving.black_share == 0
    assert frozen.frozen_share > 0.8 and frozen.motion < 0.1
    assert dark.black_share == pytest.approx(12 / 18)
    assert not isinstance(check(encode_gif(FRAMES), "a.gif"), Inspection)


def test_the_container_is_told_by_the_first_bytes():
    assert find_container(struct.pack(">I", 24) + b"ftypisom") == "MP4 or MOV"
    assert find_container(b"\x1aE\xdf\xa3") == "WebM or Matroska"
    video = load_modality("video")
    for start, ending in (
        (b"GIF89a", ".gif"),
        (b"....ftypmp42", ".mp4"),
        (b"RIFF....AVI ", ".avi"),
    ):
        assert video.find_ending(start) == ending
    assert video.find_ending(b"RIFF....WAVE") is None
