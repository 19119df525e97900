"""The address of a tf.data service is checked, and so are settings that exclude the service."""

import pytest

from kft.config import load_pipeline
from kft.config.service_address import split_address
from kft.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.5:5050", ("10.0.0.5", 5050)),
        ("grpc://decoders.example.org:1", ("decoders.example.org", 1)),
        ("[2001:db8::5]:65535", ("2001:db8::5", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(address, place):
    assert split_address(address) == place
    settings = [f"data.service='{address}'", "training.deterministic=false"]
    assert load_pipeline("photos", settings).data.service == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "decoders",
        ":5050",
        "decoders:",
        "decoders:0",
        "decoders:65536",
        "decoders:http",
        "2001:db8::5:5050",
        "http://decoders:5050",
        "grpc://",
        "user@decoders:5050",
        "two words:5050",
        "decoders:5050/path",
    ],
)
def test_an_invalid_address_is_refused(address):
    with pytest.raises(
        ConfigError, match=r"^pipeline: data\.service: '.*' is not the address of a dispatcher\."
    ):
        load_pipeline("photos", [f"data.service='{address}'"])


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_cache_of_decoded_examples_is_refused_with_a_service(cache):
    settings = ["data.service=decoders:5050", "training.deterministic=false"]
    with pytest.raises(
        ConfigError, match=f"^pipeline: data: cache '{cache}' keeps examples that this"
    ):
        load_pipeline("photos", [*settings, f"data.cache={cache}"])
    assert load_pipeline("photos", [*settings, "data.cache=none"]).data.cache == "none"
