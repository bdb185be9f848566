"""The environment, ``.env`` and ``NAME_FILE`` as people write them."""

from __future__ import annotations

import pytest

from cogo.environment import Environment, EnvironmentTrouble, parse, read_file
from tests.cogo.test_one_line_errors import serve

HOSTS = ["a.example.com", "b.example.com"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=plain", "plain"),
        ("export X=plain", "plain"),
        ("export\tX=plain", "plain"),
        ("X = plain ", "plain"),
        ("  X=plain", "plain"),
        ("X=plain # a note", "plain"),
        ("X=plain\t# a note", "plain"),
        ("X=with#hash", "with#hash"),
        ("X=#nothing", ""),
        ("X=", ""),
        ("X='single # quotes' # a note", "single # quotes"),
        ('X="double # quotes" # a note', "double # quotes"),
        ("X='it''s'", "it''s"),
        ("X='$q*eo${HOME}'", "$q*eo${HOME}"),
        ("X=$ecretpassword1", "$ecretpassword1"),
        ('X="$ecretpassword1"', "$ecretpassword1"),
        ("X=\\$literal", "\\$literal"),
        (r'X="a\nb\"c\\d"', 'a\nb"c\\d'),
        (r"X='a\nb'", r"a\nb"),
        ("X=a=b==", "a=b=="),
        ("X='first\nsecond'", "first\nsecond"),
        ("X=plain\r", "plain"),
        ("\ufeffX=plain", "plain"),
        ("# X=other\n\n   # another\nX=plain", "plain"),
        ("X=first\nX=second", "second"),
        ("X=pässwörd", "pässwörd"),
        ("X=a\u2028b\x85c\x0bd", "a\u2028b\x85c\x0bd"),
    ],
)
def test_a_line_of_an_env_file_sets_what_its_writer_meant(line, value):
    assert parse(line) == {"X": value}


@pytest.mark.parametrize("text", ["A=1\nhunter2", "KEY: value", "=value", "1A=2", "A-B=2"])
def test_a_line_that_sets_nothing_is_named_and_not_shown(text):
    with pytest.raises(EnvironmentTrouble, match=r"line \d, is not NAME=value") as raised:
        parse(text)
    assert "hunter2" not in str(raised.value)


def test_a_quote_that_is_never_closed_is_named_where_it_opens():
    with pytest.raises(EnvironmentTrouble, match=r"line 2, opens a quote"):
        parse("A=1\nB='never\nclosed")


@pytest.mark.parametrize(
    "text",
    [
        "a.example.com,b.example.com", "a.example.com, b.example.com", " a.example.com ,b.example.com,", '"a.example.com", "b.example.com"',
        "'a.example.com','b.example.com'", "a.example.com b.example.com", "a.example.com;b.example.com",
        '["a.example.com", "b.example.com"]', "['a.example.com','b.example.com']", '"a.example.com,b.example.com"',
        "a.example.com,\n b.example.com\r\n", "[a.example.com, b.example.com]",
    ],
)  # fmt: skip
def test_a_list_is_read_however_it_is_separated_and_quoted(text):
    assert Environment({"HOSTS": text}, {}).list("HOSTS") == HOSTS
    assert Environment({}, parse(f"HOSTS={text.strip()}" if "\n" not in text else f"HOSTS='{text}'")).list("HOSTS") == HOSTS


def test_an_ipv6_address_in_brackets_is_no_list():
    assert Environment({"HOSTS": "[::1]"}, {}).list("HOSTS") == ["[::1]"]
    assert Environment({"HOSTS": "[::1],localhost"}, {}).list("HOSTS") == ["[::1]", "localhost"]


@pytest.mark.parametrize("content", ["hunter2hunter2\n", "hunter2hunter2\r\n", "hunter2hunter2", "\ufeffhunter2hunter2\n"])
def test_a_file_s_value_loses_one_line_end_and_nothing_else(tmp_path, content):
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    assert Environment({"X_FILE": str(file)}, {}).str("X") == "hunter2hunter2"
    file.write_bytes((content.replace("hunter2hunter2", " two lines\n \n")).encode())
    assert Environment({"X_FILE": str(file)}, {}).str("X").startswith(" two lines\n ")


def test_line_ends_before_the_last_belong_to_the_value(tmp_path):
    (tmp_path / "secret").write_bytes(b"a\n\n")
    assert Environment({"X_FILE": str(tmp_path / "secret")}, {}).str("X") == "a\n"


@pytest.mark.parametrize("what", ["nowhere", "a folder", "no text"])
def test_a_file_that_cannot_be_read_is_said_in_one_line(tmp_path, what):
    path = tmp_path / "secret"
    if what == "a folder":
        path.mkdir()
    elif what == "no text":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EnvironmentTrouble, match=r"X_FILE names .*secret, which cannot be read") as raised:
        Environment({"X_FILE": str(path)}, {}).str("X")
    assert "\n" not in str(raised.value)


def test_a_value_and_a_file_for_one_name_contradict_each_other(tmp_path):
    (tmp_path / "secret").write_text("from the file")
    both = {"X": "a", "X_FILE": str(tmp_path / "secret")}
    for environment in (Environment(both, {}), Environment({}, both)):
        with pytest.raises(EnvironmentTrouble, match="X and X_FILE are both set"):
            environment.str("X")


def test_the_environment_wins_over_the_file_in_either_form(tmp_path):
    (tmp_path / "secret").write_text("from its file")
    assert Environment({"X": "a"}, {"X_FILE": "/nowhere"}).str("X") == "a"
    assert Environment({"X_FILE": str(tmp_path / "secret")}, {"X": "b"}).str("X") == "from its file"
    assert Environment({"X": "", "X_FILE": ""}, {"X": "b"}).str("X") == "b"
    assert Environment({}, {}).str("X", "default") == "default"


def test_an_env_file_that_is_absent_sets_nothing(tmp_path):
    assert read_file(tmp_path / ".env") == {}


def test_dollars_and_files_reach_the_settings_as_they_are(tmp_path):
    """Through the settings themselves: the value that is refused is shown."""
    (tmp_path / "port").write_text("$PORT_OF_OTHERS\n")
    assert "PORT must be a whole number, not '$PORT_OF_OTHERS'" in serve(tmp_path, PORT="", PORT_FILE=str(tmp_path / "port"))


def test_a_damaged_env_file_stops_the_start_with_one_line(tmp_path):
    (tmp_path / ".env").write_text("PORT 9000\n")
    assert ".env, line 1, is not NAME=value" in serve(tmp_path, COGO_ENV_FILE=str(tmp_path / ".env"))
