from __future__ import annotations

from ipaddress import ip_address

import pytest

from llm_gateway.policies.addresses import AddressRefused, check_addresses, is_public, read_base_url, refusal

# Never, whatever the operator allows.
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::7f00:1",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:a9fe:a9fe::",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]
# Ranges of the registries (IANA, RFC 6890 and after): an address in each, admitted where the row admits private addresses.
SPECIAL = [
    "100.64.0.1",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.170",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "198.19.255.255",
    "fec0::1",
    "feff::1",
    "::ffff:0:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "::ffff:8.8.8.8",
    "5f00::1",
    "5f00:ffff::1",
    "3fff::1",
    "3fff:fff::1",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::1",
    "100::1",
    "100:0:0:1::1",
    "2001:1::1",
    "2001:1::2",
    "2001:1::3",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff::1",
    "2001:db8:ffff::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "fdff::1",
]
# Never, whatever the row admits.
SPECIAL_NEVER = [
    "0.1.2.3",
    "239.255.255.255",
    "254.0.0.1",
    "169.254.0.1",
    "::ffff:0:169.254.169.254",
    "::ffff:0:0.0.0.0",
    "::ffff:0:224.0.0.1",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1::a9fe:a9fe",
    "2002:808:808::1",
    "2001::1",
    "::1.2.3.4",
    "::2",
    "febf::1",
    "ffff::1",
    "4000::1",
    "8000::1",
    "e000::1",
    "fe00::1",
    "200::1",
]
# Only where the row admits private addresses.
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "2001:db8::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("text", [*NEVER, *PRIVATE])
def test_an_address_that_is_not_on_the_internet_is_refused(text: str) -> None:
    assert not is_public(ip_address(text))
    assert refusal(ip_address(text), allow_private=False)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_admitted(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_admitted_where_the_row_says_so(text: str) -> None:
    assert refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_metadata_and_nowhere_are_refused_even_there(text: str) -> None:
    assert refusal(ip_address(text), allow_private=True)


def test_one_bad_address_among_good_ones_refuses_the_host() -> None:
    check_addresses("h.example", ["8.8.8.8", "2606:4700::1"], allow_private=False)
    with pytest.raises(AddressRefused, match=r"h\.example leads to 10\.0\.0\.1"):
        check_addresses("h.example", ["8.8.8.8", "10.0.0.1"], allow_private=False)
    with pytest.raises(AddressRefused, match="no address"):
        check_addresses("h.example", [], allow_private=True)


@pytest.mark.parametrize(
    "text",
    [
        "http://api.example.com/v1",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "gopher://api.example.com",
        "//api.example.com",
        "api.example.com",
        "https://",
        "https:///v1",
        "https://user@api.example.com",
        "https://user:word@api.example.com",
        "https://api.example.com@127.0.0.1",
        "https://127.0.0.1#@api.example.com",
        "https://api.example.com/v1?x=1",
        "https://api.example.com/v1#x",
        "https://api.example.com/../admin",
        "https://api.example.com/%2e%2e/admin",
        "https://api.example.com//v1",
        "https://api.example.com.",
        "https://localhost./",
        "https://api..example.com",
        "https://-api.example.com",
        "https://*.example.com",
        "https://api.example.com:0",
        "https://api.example.com:65536",
        "https://api.example.com:80:80",
        "https://api.example.com:",
        "https://api.example.com:+443",
        "https://api%2eexample.com",
        "https://api.example.com\\@127.0.0.1",
        "https://api.example.com\t",
        "https://api.example.com\r\nHost: x",
        " https://api.example.com",
        "https://bücher.example",
        "https://①②⑦.⓪.⓪.①",
        "https://127.0.0.1",
        "https://0",
        "https://0.0.0.0",
        "https://2130706433",
        "https://0x7f000001",
        "https://0x7f.0.0.1",
        "https://0177.0.0.1",
        "https://017700000001",
        "https://127.1",
        "https://127.0.1",
        "https://127.0.0.1.",
        "https://8.8.8.8.8",
        "https://256.0.0.1",
        "https://api.example.0x1",
        "https://[::1]",
        "https://[::]",
        "https://[::ffff:127.0.0.1]",
        "https://[::ffff:7f00:1]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[2002:a9fe:a9fe::]",
        "https://[fe80::1%25eth0]",
        "https://[fd00:ec2::254]",
        "https://[::1",
        "https://::1",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1",
        "https://" + "a" * 64 + ".example",
        "https://example.com/" + "a" * 300,
    ],
)
def test_a_tricky_base_url_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        read_base_url(text, allow_private=False)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("HTTPS://API.Example.com:443/v1", "https://api.example.com/v1"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://8.8.8.8/v1", "https://8.8.8.8/v1"),
        ("https://[2606:4700:0::1]/v1", "https://[2606:4700::1]/v1"),
        ("https://my_host.example.com/api/v1beta", "https://my_host.example.com/api/v1beta"),
    ],
)
def test_an_honest_base_url_is_normalised(text: str, normal: str) -> None:
    assert read_base_url(text, allow_private=False).text == normal


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8100/v1", "http://[::1]:11434/v1", "http://ollama:11434/v1", "https://10.1.2.3/v1", "http://0x.example"]
)
def test_a_private_host_is_admitted_where_the_row_says_so_in_the_same_strict_form(text: str) -> None:
    assert read_base_url(text, allow_private=True).text == text


@pytest.mark.parametrize(
    "text", ["http://2130706433", "http://127.1", "http://169.254.169.254", "http://0.0.0.0:8000", "http://u:p@127.0.0.1"]
)
def test_tricks_are_refused_there_too(text: str) -> None:
    with pytest.raises(AddressRefused):
        read_base_url(text, allow_private=True)


@pytest.mark.parametrize("text", [*SPECIAL, *SPECIAL_NEVER])
def test_no_special_purpose_address_is_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert "not on the public Internet" in str(refusal(ip_address(text), allow_private=False))


@pytest.mark.parametrize("text", SPECIAL)
def test_a_range_that_a_network_of_ones_own_may_use_is_admitted_where_the_row_says_so(text: str) -> None:
    assert refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", SPECIAL_NEVER)
def test_what_no_provider_can_be_is_never_admitted(text: str) -> None:
    assert refusal(ip_address(text), allow_private=True)


@pytest.mark.parametrize(
    "text",
    ["2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "3ffd::1", "3fff:1000::1", "2003::1", "2620:4f:8001::1", "2a00::1", "192.0.1.1",
     "192.31.197.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "9.255.255.255", "126.255.255.255", "64:ff9b::101:101"],
)  # fmt: skip
def test_the_neighbours_of_special_ranges_are_public(text: str) -> None:
    assert is_public(ip_address(text))
