from __future__ import annotations

import pytest

from kft.config import DataConfig
from kft.data.loading import find_source
from kft.data.paths import describe_failure, refuse_remote
from kft.errors import DataError


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gs://bucket/photos", r"\(gs://\).*gsutil cp"),
        ("s3://bucket/photos", r"\(s3://\).*aws s3 cp"),
        ("HTTPS://example.org/a.jpg", r"\(https://\).*curl"),
        ("hdfs://host/photos", r"\(hdfs://\).*hdfs dfs -get"),
        ("az://bucket/photos", r"\(az://\).*azcopy"),
        ("gs:/bucket/photos", r"\(gs://\)"),
        ("dropbox://photos", r"\(dropbox://\), but kft reads local files only; copy it here first"),
        ("file:///home/photos", "without file://"),
    ],
)
def test_a_remote_path_is_refused_by_its_scheme(path, told):
    with pytest.raises(DataError, match=told):
        refuse_remote(path)
    for source in ("auto", "folder", "table", "tfrecord"):
        with pytest.raises(DataError, match=told):
            find_source(DataConfig(path=path, source=source))


@pytest.mark.parametrize("path", ["photos", "/a/b", "C:/photos", "tfds:mnist", "a:b", "data:/x"])
def test_what_has_no_scheme_is_local(path):
    assert find_source(DataConfig(path=path, source="table")) == "table"


def test_a_folder_that_is_there_is_local_whatever_its_name(tmp_path, monkeypatch):
    (tmp_path / "gs:" / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_source(DataConfig(path="gs:/photos")) == "folder"


def test_a_url_in_a_table_is_told_as_one(tmp_path):
    assert "(https://)" in describe_failure(f"{tmp_path}/https:/a.org/x.jpg", FileNotFoundError(2))
