"""The audit of videos: what gives the class away, what is alike, and what shows little."""

from __future__ import annotations

import numpy as np
from videos import check, encode_gif, encode_video, make_frames

from kft.modalities import load_modality
from kft.modalities.near_duplicates import find_look_alikes
from kft.modalities.video.inspection import Inspection
from kft.modalities.video.measures import fingerprint
from kft.modalities.video.modality import VideoModality
from kft.modalities.video.moving_shapes import DIRECTIONS, make_clip

VIDEO = load_modality("video")


def inspect(**changes) -> Inspection:
    of_file = {"name": "a", "path": "a", "digest": "", "size": 1, "changed_ns": 0}
    facts = {"format": "GIF", "encoding": "GIF", "width": 64, "height": 48, "num_frames": 20}
    more = {"rate": 10.0, "has_sound": False, "brightness": 100.0, "motion": 3.0}
    shares = {"frozen_share": 0.0, "black_share": 0.0}
    return Inspection(**{**of_file, **facts, **more, **shares, **changes})


def test_technical_properties_and_measures_are_compared_with_the_class():
    seen = [inspect(), inspect(rate=25.0, width=32, has_sound=True), inspect(rate=None)]
    properties = {each.name: each for each in VIDEO.list_properties(seen)}
    assert properties["frame rate"].values == (
        *("10 per second", "25 per second", "no stated rate"),
    )
    assert properties["frame size"].values == ("64 x 48", "32 x 48", "64 x 48")
    assert properties["duration"].values == ("2.00 s", "0.80 s", "0.00 s")
    technical = {name for name, each in properties.items() if each.is_technical}
    assert technical == {"file format", "frame size", "frame rate", "sound track"}
    assert [each.name for each in VIDEO.list_measures(seen)] == ["length", "brightness"]
    facts = {fact.key: fact.value for fact in VIDEO.summarise(seen)}
    assert facts["sizes"] == {"64 x 48": 2, "32 x 48": 1} and VIDEO.summarise([]) == ()
    assert VIDEO.name_kinds(seen[:1]) == ("GIF (GIF), 64 x 48, 10 per second",)
    assert [fact.text for fact in VIDEO.summarise_group(seen)] == ["20 frames", "3.00"]


def test_black_frozen_and_short_videos_are_found_each_by_its_first_case():
    seen = [
        inspect(name="dark", black_share=0.9, frozen_share=1.0),
        inspect(name="still", frozen_share=0.9),
        inspect(name="brief", num_frames=4),
        inspect(name="good"),
    ]
    found = {
        finding.kind: [file.name for file in finding.files] for finding in VIDEO.find_poor(seen)
    }
    assert found == {"black": ["dark"], "frozen": ["still"], "short": ["brief"]}


def test_another_size_format_and_rate_is_taken_for_the_same():
    frames = make_frames(24, seed=3)
    content = [
        encode_video(frames),
        encode_video(frames, "webm"),
        encode_video(frames[::2], rate=5),
        encode_video(frames.repeat(2, axis=1).repeat(2, axis=2), "mov"),
        encode_gif(frames),
    ]
    hashes = [check(each, "a.x", with_likeness=True).likeness for each in content]
    most = VideoModality.most_different_bits
    assert find_look_alikes(hashes, most_different_bits=most) == ((0, 1, 2, 3, 4),)


def test_videos_of_shapes_that_move_otherwise_are_not_taken_for_the_same():
    random = np.random.default_rng(0)
    clips = [make_clip(name, random) for name in DIRECTIONS for _ in range(20)]
    grey = [np.asarray(clip.mean(axis=-1)[:, ::2, ::2], np.uint8) for clip in clips]
    hashes = [fingerprint(each) for each in grey]
    most = VideoModality.most_different_bits
    assert sum(value is None for value in hashes) <= 4
    assert len(find_look_alikes(hashes, most_different_bits=most)) <= 1
    assert fingerprint(np.full((4, 16, 16), 90, np.uint8)) is None


def test_a_video_is_shown_by_four_of_its_frames(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(encode_gif(make_frames()))
    assert VIDEO.preview(str(path), None).startswith("data:image/jpeg;base64,")
    path.write_bytes(b"no longer a GIF")
    assert VIDEO.preview(str(path), None) is None


def test_views_of_a_clip_are_drawn(tmp_path):
    from kft.modalities.showing import ViewRow

    clip = {"clip": make_frames(6).astype(np.float32)}
    drawn = VIDEO.draw_views([ViewRow("right", "a.gif", (clip, clip))], "light")
    assert drawn.startswith(b"\x89PNG")
