"""What is refused by its text alone: schemes, driver tricks, private addresses in every spelling."""

import ipaddress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline import access
from pipeline.access.addresses import EMBEDDING

HTTPS = "https://data.example.org/scene/B04.tif"

TRICKS = (
    "/vsicurl/http://169.254.169.254/latest/meta-data/",
    "/vsicurl?url=http%3A%2F%2F169.254.169.254%2F",
    "//vsicurl/http://169.254.169.254/",
    "/VSIZIP//data/bomb.zip/a.tif",
    "vsimem/a.tif",
    "./vsistdin/",
    "/vsisubfile/0_10,/etc/passwd",
    "<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>",
    ' <VRTDataset rasterXSize="1"/>',
    '{"type": "FeatureCollection"}',
    "VRT:/data/a.vrt",
    "vrt:///data/a.tif?bands=1",
    "vrt://https://data.example.org/a.tif",
    "NETCDF:/etc/passwd:red",
    'HDF5:"/data/a.h5"://red',
    "HDF4_SDS:UNKNOWN:/a:1",
    "GTIFF_DIR:1:/data/a.tif",
    "GTIFF_RAW:/data/a.tif",
    "SENTINEL2_L2A:/data/MTD.xml:10m:EPSG_32631",
    'ZARR:"/vsicurl/http://a"',
    "DERIVED_SUBDATASET:AMPLITUDE:/data/a.tif",
    "WMS:http://data.example.org",
    "PG:host=10.0.0.1",
    "ftp://data.example.org/a.tif",
    "zip+https://data.example.org/a.zip!a.tif",
    "gopher://data.example.org/",
    "https:/data.example.org/a.tif",
    "https:///a.tif",
    "https://",
    "javascript:alert(1)",
    "file:///vsicurl/http://169.254.169.254/",
    "file:///%76sicurl/http://169.254.169.254/",
    "file:NETCDF:a.nc",
    "file://fileserver.example.org/share/a.tif",
    "file:///data/a%0ab.tif",
    "s3://../a.tif",
    "s3://",
    "s3:///a.tif",
    "s3://bucket/a/../../other/a.tif",
    "s3://bucket/%2e%2e/other/a.tif",
    "s3://key:secret@bucket/a.tif",
    "s3://bucket:80/a.tif",
    "gs://buck et/a.tif",
    "https://user:password@data.example.org/a.tif",
    "https://data.example.org@169.254.169.254/",
    "https://data.example.org\\@169.254.169.254/",
    "https://data.example.org/a.tif\n",
    "https://data.example.org/a\r\nHost: 169.254.169.254",
    "https://data.example.org/\x00",
    "https://data.example.org/a\u2028b",
    "https://data.example.org:99999/a.tif",
    "https://data.example.org:x/a.tif",
    "https://[::1/a.tif",
    "https://①②⑦.⓪.⓪.①/a.tif",
    "https://127。0。0。1/a.tif",
    "https://%31%32%37.0.0.1/a.tif",
    "https://data.example.org;169.254.169.254/a.tif",
    "https://-a.example.org/",
    "https://exa mple.org/",
    "https://256.256.256.256/a.tif",
    "https://0x1ffffffff/a.tif",
    "",
    "  ",
)


@pytest.mark.parametrize("href", TRICKS)
@pytest.mark.parametrize("remote", [True, False])
def test_tricks_are_refused_wherever_they_come_from(href, remote):
    assert access.refused(href, remote=remote)


@pytest.mark.parametrize(
    "href",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "a/b.tif",
        "../b.tif",
        "C:\\a.tif",
    ],
)
def test_files_of_this_machine_are_for_documents_of_this_machine(href):
    assert "of this machine" in access.refused(href, remote=True)
    assert access.refused(href, remote=False) is None


@pytest.mark.parametrize(
    "href",
    [
        HTTPS,
        "HTTPS://DATA.example.org/a.tif",
        "http://data.example.org:8080/a.tif?x=1&y=:/@",
        "https://data.example.org/Products(1)/Nodes(a.SAFE)/$value",
        "https://data.example.org/vsicurl/a.tif",
        "https://data.example.org/a%20b/../c.tif",
        "https://8.8.8.8/a.tif",
        "https://[2606:4700:4700::1111]:8443/a.tif",
        "https://xn--bcher-kva.example/a.tif",
        "s3://sentinel-cogs/a/b..c.tif",
        "gs://gcp-public-data-sentinel-2/a.jp2",
        "abfs://items/a.parquet",
    ],
)  # fmt: skip
def test_plain_places_of_the_internet_are_let_through(href):
    assert access.refused(href, remote=True) is None
    assert access.refused(href, remote=False) is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "metadata",
        "minio",
        "minio.default.svc",
        "minio.default.svc.cluster.local",
        "nas.home.arpa",
        "router.lan",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "[fd00:ec2::254]",
        "[fe80::a9fe:a9fe]",
        "[fec0::1]",
        "[::]",
        "0",
    ],
)
def test_names_and_services_of_private_networks_are_refused(host):
    assert "cube.hosts" in access.refused(f"http://{host}/a.tif", remote=True)


PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
private_v4 = st.sampled_from(PRIVATE).flatmap(
    lambda network: st.integers(
        int(network.network_address), int(network.broadcast_address)
    ).map(ipaddress.IPv4Address)
)


def number(value, base):
    return {8: f"0{value:o}", 10: str(value), 16: f"0x{value:x}"}[base]


@st.composite
def spellings(draw, address):
    """Every way in which C's inet_aton, browsers and curl let an IPv4 address be written."""
    octets = list(address.packed)
    parts = draw(st.integers(1, 4))
    numbers = [*octets[: parts - 1], int.from_bytes(bytes(octets[parts - 1 :]), "big")]
    written = ".".join(number(each, draw(st.sampled_from((8, 10, 16)))) for each in numbers)
    if draw(st.booleans()):
        written = written.upper().replace("X", draw(st.sampled_from("xX")))
    return written + draw(st.sampled_from(("", ".")))


def embedded(address):
    for network, bits in EMBEDDING:
        yield ipaddress.IPv6Address(int(network.network_address) | int(address) << bits)
    # Teredo keeps the client's address inverted, in its last 32 bits.
    yield ipaddress.IPv6Address(0x20010000 << 96 | 8 << 64 | (int(address) ^ 0xFFFFFFFF))


@given(st.data(), private_v4, st.sampled_from(("http", "https")), st.booleans())
def test_law_every_spelling_of_a_private_address_is_refused(data, address, scheme, remote):
    for host in (
        data.draw(spellings(address)),
        *(f"[{each}]" for each in embedded(address)),
        *(f"[{each.exploded.upper()}]" for each in embedded(address)),
        f"[::ffff:{address}]",
        f"[64:ff9b::{address}]",
    ):
        for port in ("", ":80", ":8443"):
            url = f"{scheme}://{host}{port}/a.tif"
            assert access.refused(url, remote=remote), url
            assert access.refused(url, remote=remote, hosts=("data.example.org",)), url


@given(st.data(), st.integers(1 << 24, (1 << 32) - 1).map(ipaddress.IPv4Address))
@example(None, ipaddress.IPv4Address("8.8.8.8"))
def test_law_every_spelling_of_a_public_address_is_let_through(data, address):
    assume(address.is_global and not address.is_multicast and not address.is_reserved)
    assume(address.packed[:3] not in (b"\xc0\0\0", b"\xc0Xc") and address.packed[0] != 168)
    written = data.draw(spellings(address)) if data else str(address)
    assert access.refused(f"https://{written}/a.tif", remote=True) is None


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_law_no_ipv6_outside_of_global_unicast_is_public(address):
    assume(address not in ipaddress.ip_network("2000::/3"))
    assert access.refused(f"https://[{address}]/a.tif", remote=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("2606:4700:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("ff02::1", False),
    ],
)
def test_ipv6_of_the_registries(address, public):
    reason = access.refused(f"https://[{address}]/a.tif", remote=True)
    assert (reason is None) is public


@pytest.mark.parametrize(
    ("hosts", "href"),
    [
        (("127.0.0.1",), "http://127.0.0.1/a.tif"),
        (("127.0.0.1",), "http://127.0.0.1:8080/a.tif"),
        (("127.0.0.1:8080",), "http://127.0.0.1:8080/a.tif"),
        (("127.0.0.1:443",), "https://127.0.0.1/a.tif"),
        (("Minio.internal",), "http://minio.INTERNAL:9000/a.tif"),
        (("::1",), "http://[::1]:9000/a.tif"),
        (("[::1]:9000",), "http://[::1]:9000/a.tif"),
    ],
)
def test_a_job_may_allow_a_private_host(hosts, href):
    assert access.refused(href, remote=True) is not None
    assert access.refused(href, remote=True, hosts=hosts) is None


@pytest.mark.parametrize(
    ("hosts", "href"),
    [
        (("127.0.0.1:8080",), "http://127.0.0.1:8081/a.tif"),
        (("127.0.0.1",), "http://127.0.0.2/a.tif"),
        (("127.0.0.1",), "http://a@127.0.0.1/a.tif"),
        (("internal",), "http://minio.internal/a.tif"),
        (("127.0.0.1",), "ftp://127.0.0.1/a.tif"),
        (("127.0.0.1",), "/etc/passwd"),
    ],
)
def test_and_allows_no_more_than_it(hosts, href):
    assert access.refused(href, remote=True, hosts=hosts)


@pytest.mark.parametrize(
    ("location", "remote"),
    [
        ("https://a.org/x", True),
        ("HTTP://a.org/x", True),
        ("/data/items.json", False),
        ("items.json", False),
        ("file:///data/items.json", False),
        ("", False),
    ],
)
def test_where_a_document_came_from(location, remote):
    assert access.is_remote(location) is remote


def test_every_asset_of_the_real_items_is_let_through(shared_data):
    import json  # noqa: PLC0415

    told = 0
    for path in (shared_data / "stac_items").glob("*/*.json"):
        item = json.loads(path.read_text())
        for asset in (item.get("assets") or {}).values():
            href = asset["href"]
            if "://" in href and path.parent.name != "collections":
                assert access.refused(href, remote=True) is None, href
                told += 1
    assert told > 3000
