"""Settings: what is read from where, and what is refused how."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import DEMO_KEY, Settings, load
from gateway.settings_source import SettingsError

LONG = "x" * 32


def problems(environment: dict[str, str], path: Path | None = None) -> list[str]:
    """Load what cannot be loaded."""
    with pytest.raises(SettingsError) as caught:
        load(path, environment)
    return caught.value.problems


def test_without_anything_the_defaults_hold() -> None:
    settings = load(environment={})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8000)
    assert settings.limits.rows_default == 20
    assert settings.auth.demo_key is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "meshgate.toml"
    file.write_text('[http]\nport = 1\nhost = "::1"\n[products."order/orders-daily"]\nendpoint = "http://a:1"\n')
    settings = load(file, {"MESHGATE_HTTP__PORT": "2", "MESHGATE_PRODUCTS__order/orders-daily__LEVEL": "1"})
    assert (settings.http.port, settings.http.host) == (2, "::1")
    assert settings.products["order/orders-daily"].endpoint == "http://a:1"
    assert settings.products["order/orders-daily"].level == 1


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("names = 'contract'")
    assert load(environment={"MESHGATE_CONFIG": str(file)}).names == "contract"


def test_paths_in_the_file_count_from_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("catalog_dir = 'contracts'")
    assert load(file, {}).catalog_dir == tmp_path / "contracts"
    assert load(file, {"MESHGATE_CATALOG_DIR": "here"}).catalog_dir == Path("here")


def test_the_folder_of_copies_counts_from_the_file_or_the_home_unless_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    for written, meant in (
        ("copies", tmp_path / "copies"),
        ("/var/copies", Path("/var/copies")),
        ("~/x", Path("/home/ann/x")),
        ("off", "off"),
    ):
        (tmp_path / "meshgate.toml").write_text(f'[cache]\ncontracts_dir = "{written}"\n')
        assert load(tmp_path / "meshgate.toml", {}).cache.contracts_dir == meant
    assert load(None, {"MESHGATE_CACHE__CONTRACTS_DIR": "off"}).cache.contracts_dir == "off"


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    assert load(environment={"MESHGATE_HTTP__CORS_ORIGINS": "https://a, https://b"}).http.cors_origins == ("https://a", "https://b")


def test_lists_in_the_file_are_lists(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("[http]\ncors_origins = ['https://a']")
    assert load(file, {}).http.cors_origins == ("https://a",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MESHGATE_HTTP__PROT", "http.prot: there is no such setting; did you mean http.port?"),
        ("MESHGATE_HTP", "htp: there is no such setting; did you mean http?"),
        ("MESHGATE_ZZZZZ", "zzzzz: there is no such setting"),
        ("MESHGATE_LIMITS__ROWS_MAXIMUM", "limits.rows_maximum: there is no such setting; did you mean limits.rows_max?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(name: str, told: str) -> None:
    assert problems({name: "1"}) == [told]


def test_an_unknown_key_of_a_product_is_refused_with_the_nearest_name() -> None:
    found = problems({"MESHGATE_PRODUCTS__a/b__ENDPOINT": "http://x", "MESHGATE_PRODUCTS__a/b__LEVL": "1"})
    assert found == ["products.a/b.levl: there is no such setting; did you mean products.a/b.level?"]


def test_a_port_of_a_product_may_be_elsewhere() -> None:
    given = {
        "MESHGATE_PRODUCTS__a/b__ENDPOINT": "http://x",
        "MESHGATE_PRODUCTS__a/b__PORTS__mirror__ENDPOINT": "http://y",
        "MESHGATE_PRODUCTS__a/b__PORTS__mirror__LEVEL": "1",
    }
    port = load(environment=given).products["a/b"].ports["mirror"]
    assert (port.endpoint, port.level, port.auth) == ("http://y", 1, None)
    found = problems(given | {"MESHGATE_PRODUCTS__a/b__PORTS__mirror__LEVL": "1"})
    assert found == ["products.a/b.ports.mirror.levl: there is no such setting; did you mean products.a/b.ports.mirror.level?"]


def test_all_problems_are_told_at_once() -> None:
    assert len(problems({"MESHGATE_HTTP__PORT": "99999", "MESHGATE_NAMES": "snake", "MESHGATE_LIMITS__DEPTH_MAX": "0"})) == 3


def test_a_refused_secret_is_not_repeated() -> None:
    found = problems({"MESHGATE_AUTH__DEMO_KEY": "hunter2"})
    assert found == ["auth.demo_key: must have at least 32 characters"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a", "http://", "http://user:secret@host/", "nothing"])
def test_addresses_must_be_http_without_credentials(url: str) -> None:
    (found,) = problems({"MESHGATE_PRODUCTS__a/b__ENDPOINT": url})
    assert found.startswith("products.a/b.endpoint: must")
    assert "secret@" not in found


def test_a_value_and_a_group_of_one_name_are_refused() -> None:
    assert problems({"MESHGATE_HTTP": "1", "MESHGATE_HTTP__PORT": "2"}) == ["MESHGATE_HTTP__PORT: http is set as a value and as a group"]


def test_keys_need_an_issuer() -> None:
    assert problems({"MESHGATE_AUTH__JWKS_URL": "https://id/keys"}) == ["auth.issuer: must be set together with auth.jwks_url"]


def test_the_default_page_fits_the_largest() -> None:
    assert problems({"MESHGATE_UPSTREAM__PROCESS_MAX_BYTES": "335544319"}) == [
        "upstream.process_max_bytes: must be at least request_max_bytes and page_max_bytes together, 335544320"
    ]
    assert problems({"MESHGATE_LIMITS__ROWS_MAX": "5"}) == ["limits.rows_default: must not be larger than limits.rows_max"]


def test_the_published_demo_key_is_good_for_loopback_only() -> None:
    assert load(environment={"MESHGATE_AUTH__DEMO_KEY": DEMO_KEY}).auth.demo_key is not None
    (found,) = problems({"MESHGATE_AUTH__DEMO_KEY": DEMO_KEY, "MESHGATE_HTTP__HOST": "0.0.0.0"})
    assert "loopback" in found


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in problems({}, tmp_path / "none.toml")[0]
    broken = tmp_path / "broken.toml"
    broken.write_text("= 1")
    assert "is not valid TOML" in problems({}, broken)[0]


def test_variables_of_the_tests_and_of_others_are_no_settings() -> None:
    assert load(environment={"MESHGATE_TESTS_NO_SKIP": "1", "PATH": "/bin"}).http.port == 8000


def test_settings_are_frozen_and_print_no_secret() -> None:
    settings = load(environment={"MESHGATE_SECRET": LONG})
    with pytest.raises(ValueError, match="frozen"):
        settings.names = "contract"
    assert LONG not in repr(settings)


def test_keys_differ_by_purpose_and_secret_and_not_by_process() -> None:
    one, two = load(environment={"MESHGATE_SECRET": LONG}), load(environment={"MESHGATE_SECRET": LONG + "y"})
    assert one.key("cursor") == load(environment={"MESHGATE_SECRET": LONG}).key("cursor")
    assert len({one.key("cursor"), one.key("log"), two.key("cursor")}) == 3
    assert len(one.key("cursor", length=64)) == 64
    assert Settings().key("cursor") != Settings().key("cursor")


def test_the_page_of_settings_is_that_of_the_code() -> None:
    from gateway.settings_page import page

    written = (Path(__file__).parents[3] / "gateway" / "docs" / "settings.md").read_text()
    assert written == page(), "run: python -m gateway.settings_page > gateway/docs/settings.md"


def test_every_setting_says_what_it_means() -> None:
    from gateway.settings_page import page

    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []
