"""A mail is converted to its subject and readable text."""

from samples.mails import CHARACTERS, readable

PARTS = """\
Subject: Two
 lines
Content-Type: multipart/alternative; boundary="x"

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 and=
 bar
--x
Content-Type: text/html

<p>not this</p>
--x--
"""


def test_the_plain_part_is_taken_and_decoded() -> None:
    assert readable(PARTS) == "Two lines\ncafé and bar"


def test_markup_scripts_and_comments_are_left_out() -> None:
    mail = "Subject: Hi\nContent-Type: text/html\n\n<head>x</head><script>y</script><!-- z --><b>a &amp; b</b>"
    assert readable(mail) == "Hi\na & b"


def test_headers_other_than_the_subject_are_left_out() -> None:
    assert "secret" not in readable("Subject: Hi\nX-Spam-Status: secret\nReceived: by secret\n\nbody")


def test_a_mail_with_an_unknown_charset_is_read() -> None:
    assert readable("Subject: Hi\nContent-Type: text/plain; charset=nonsense\n\nbody") == "Hi\nbody"


def test_long_mails_are_cut() -> None:
    assert len(readable("Subject: Hi\n\n" + "word " * 1000)) == CHARACTERS
