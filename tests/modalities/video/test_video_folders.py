"""Folders of frames as examples: in class folders, in tables, and named by a user."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from videos import encode_gif, make_frames, write_frames

from kft.config import VideoConfig, load_pipeline
from kft.data.file_patterns import find_named_files
from kft.data.loading import load_splits
from kft.modalities import choose_modality, load_modality
from kft.modalities.checked import UnusableError
from kft.modalities.video.frame_file import unpack_frames

VIDEO = load_modality("video")


@pytest.fixture
def clips(tmp_path):
    for name in ("left", "right"):
        for number in range(3):
            frames = make_frames(3, seed=number + 10 * (name == "left"), height=16, width=24)
            write_frames(tmp_path / "clips" / name / f"clip{number}", frames, ".jpg")
    (tmp_path / "clips" / "left" / "one.gif").write_bytes(encode_gif(make_frames(3)))
    return tmp_path / "clips"


def load(data, *overrides: str):
    settings = ("data.modality=video", "data.validation=0.3", "data.holdout=0.3", *overrides)
    return load_splits(load_pipeline(str(data), settings).data)


def test_a_folder_of_frames_is_one_example(clips):
    splits = load(clips)
    ids = {each for part in (splits.train, splits.validation, splits.holdout) for each in part.ids}
    folders = {f"{name}/clip{n}" for name in ("left", "right") for n in range(3)}
    assert ids == folders | {"left/one.gif"}
    assert splits.repaired == {"folder of frames": 6} and not splits.quarantined


def test_a_table_may_name_folders_of_frames(clips):
    rows = [f"clips/{name}/clip{n},{name}" for name in ("left", "right") for n in range(3)]
    table = clips.parent / "clips.csv"
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    splits = load(table)
    assert sum(map(len, (splits.train, splits.validation, splits.holdout))) == 6


def test_a_user_may_name_one_folder_of_frames(clips):
    one = str(clips / "left" / "clip1")
    assert find_named_files([one], VIDEO).files == (one,)
    assert len(find_named_files([str(clips)], VIDEO).files) == 7


def test_a_folder_with_other_files_is_no_video(clips):
    (clips / "left" / "clip1" / "notes.txt").write_text("hello")
    splits = load(clips)
    assert splits.ignored == {"ending .jpg": 3, "ending .txt": 1}
    with pytest.raises(UnusableError, match="a folder that is no video: expected two or more"):
        VIDEO.read_joined(str(clips / "left" / "clip1"), VideoConfig())


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    write_frames(tmp_path, [np.full((2, 2, 3), n, np.uint8) for n in range(12)])
    packed = unpack_frames(VIDEO.read_joined(str(tmp_path), VideoConfig())).frames
    expected = [(tmp_path / f"frame{n}.png").read_bytes() for n in range(1, 13)]
    assert list(packed) == expected


def test_the_endings_of_films_decide_the_modality(tmp_path):
    for name in ("a/1.mp4", "a/2.webm", "b/1.mov"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert choose_modality(load_pipeline(str(tmp_path), ()).data).name == "video"


def test_videos_of_tensorflow_datasets_become_files_of_frames():
    tfds = pytest.importorskip("tensorflow_datasets")
    encode = VIDEO.encode_feature(tfds.features.Video(shape=(None, 8, 8, 3)))
    frames = make_frames(2, height=16, width=16)
    content = encode(frames)
    assert VIDEO.find_ending(content) == ".frames" and len(unpack_frames(content).frames) == 2
    with pytest.raises(UnusableError, match="Expected a Video"):
        VIDEO.encode_feature(tfds.features.Image())


def test_turned_and_transparent_frames_are_stood_upright_on_black(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        picture = Image.new("RGB", (8, 4), (200, 0, 0))
        picture.save(tmp_path / f"{number}.jpg", exif=exif)
    from kft.modalities.video.picture_reading import open_frames

    opened = open_frames(VIDEO.read_joined(str(tmp_path), VideoConfig()), VideoConfig())
    assert (opened.width, opened.height) == (4, 8)
    assert [frame.picture.size for frame in opened.frames] == [(4, 8), (4, 8)]


def test_arrays_of_frames_become_files_of_frames():
    frames = make_frames(2, height=16, width=16)
    (one,) = VIDEO.encode_value(frames)
    assert len(unpack_frames(one).frames) == 2
    assert VIDEO.encode_value(np.stack([frames, frames])) == (one, one)
    assert VIDEO.encode_value("a.mp4") is None
    with pytest.raises(UnusableError, match=r"found float64 of shape.*Allowed: frames of a video"):
        VIDEO.encode_value(frames / 255.0)
